# SPDX-License-Identifier: Apache-2.0
"""There and back: what a plan renders, read again as KDL, makes the same plan. Whatever its services say."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleetflow_tasks.config.load import load
from fleetflow_tasks.config.model import Port, Readiness, Resources, Scaling, StageName, Volume
from fleetflow_tasks.plan.build import build
from fleetflow_tasks.plan.model import Plan, ResolvedService
from fleetflow_tasks.runtimes import registry
from fleetflow_tasks.runtimes.cloudrun.check import check
from fleetflow_tasks.runtimes.cloudrun.desired import desired
from fleetflow_tasks.runtimes.cloudrun.imported import imported
from fleetflow_tasks.runtimes.cloudrun.render import rendered
from fleetflow_tasks.runtimes.cloudrun.source import CLOUDRUN

from .made import job, plan, rich, service

# What YAML, JSON, KDL and our templates read as something of their own.
HOSTILE = st.sampled_from(
    [
        *("", " ", "1", "true", "~", "${HOME}", "$$", "a$b", "{{ X }}", "{%", "{#", 'q"q', "back\\slash", "// remark"),
        *(
            "# remark",
            "line\nbreak",
            "tab\t",
            "a\x85b\u2028\u2029",
            "\u200b\u202e",
            "é…😀",
            "- a",
            "a: b",
            "*",
            "&a",
            "{",
            "}}",
            "null",
            "#true",
        ),
    ]
)
TEXTS = HOSTILE | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
WORDS = st.text("abcxyz019-_./", min_size=1, max_size=8)
NAMES = st.from_regex(r"[A-Z][A-Z0-9_]{0,8}", fullmatch=True).filter(lambda name: name != "PORT")
IDS = st.from_regex(r"[a-z][a-z0-9-]{0,6}[a-z0-9]", fullmatch=True)
KEYS = st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True).filter(lambda key: not key.startswith("fleetflow"))
PATHS = st.lists(IDS, min_size=1, max_size=2).map(lambda parts: "/" + "/".join(parts))
REFS = st.one_of(
    IDS,
    st.builds("{}:{}".format, IDS, st.integers(1, 9)),
    st.builds("projects/{}/secrets/{}/versions/{}".format, IDS, IDS, st.sampled_from(["latest", "3"])),
)
SIZES = st.sampled_from(
    [
        Resources(),
        Resources(cpu=1),
        Resources(cpu_limit=2, memory=1 << 30),
        Resources(cpu=4, memory_limit=3_000_000_000),
    ]
)
PROBES = st.fixed_dictionaries(
    {"interval": st.integers(2, 5), "timeout": st.integers(1, 2), "retries": st.integers(1, 9)},
    optional={"delay": st.integers(1, 9), "port": st.integers(1, 65535)},
)
HTTP = st.builds(lambda probe, path: {**probe, "http": path}, PROBES, PATHS)
GRPC = st.builds(lambda probe, name: {**probe, "grpc": name}, PROBES, st.just("") | IDS)
TCP = PROBES.map(lambda probe: {**probe, "tcp": True})


def options(**more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """What services and jobs may both say, and *more*."""
    return st.fixed_dictionaries(
        {},
        optional={
            "timeout": st.integers(1, 3600),
            "execution_environment": st.just("gen2"),
            "service_account": IDS.map("{}@p.iam.gserviceaccount.com".format),
            "vpc": st.sampled_from(
                [
                    {"network": "default"},
                    {"network": "n", "subnet": "s", "tags": ("a", "b"), "egress": "all-traffic"},
                    {"connector": "inside"},
                ]
            ),
            "cloud_sql": st.lists(IDS.map("p:europe-west1:{}".format), min_size=1, max_size=2, unique=True),
            "working_dir": PATHS,
            "encryption_key": IDS.map("projects/p/locations/l/keyRings/r/cryptoKeys/{}".format),
            "annotations": st.dictionaries(IDS.map("example.org/{}".format), TEXTS, max_size=2),
            **more,
        },
    )


OF_SERVICES = options(
    public=st.booleans(),
    invokers=st.lists(IDS.map("user:{}@example.org".format), max_size=2, unique=True),
    ingress=st.sampled_from(["all", "internal", "internal-and-cloud-load-balancing"]),
    concurrency=st.integers(1, 1000),
    cpu_always=st.booleans(),
    cpu_boost=st.booleans(),
    session_affinity=st.booleans(),
    protocol=st.sampled_from(["http1", "h2c"]),
    startup=HTTP | GRPC | TCP,
    liveness=HTTP | GRPC,
    description=TEXTS,
)
OF_JOBS = options(tasks=st.integers(1, 9), parallelism=st.integers(1, 9), max_retries=st.integers(0, 10))
WHAT_RUNS: Mapping[str, st.SearchStrategy[Any]] = {
    "image": st.sampled_from(["eu.example/shop/api:1", "nginx:1.27", f"eu.example/x@sha256:{'ab' * 32}"]),
    "environment": st.dictionaries(NAMES, TEXTS, max_size=3),
    "secret_refs": st.dictionaries(NAMES.map("S_{}".format), REFS, max_size=3),
    "command": st.none() | st.lists(TEXTS.filter(bool), min_size=1, max_size=3).map(tuple),
    "entrypoint": st.none() | st.lists(WORDS, min_size=1, max_size=2).map(tuple),
    "resources": SIZES,
    "labels": st.dictionaries(KEYS, st.from_regex(r"[a-z0-9_-]{0,6}", fullmatch=True), max_size=2),
}


@st.composite
def mounts(draw: st.DrawFn) -> tuple[tuple[Volume, ...], dict[str, Any]]:
    """Volumes of every kind, each at a place of its own."""
    places = iter([f"/m{number}" for number in range(10)])
    buckets = draw(
        st.lists(
            st.tuples(IDS.map("shop-{}".format), st.sampled_from(["", "/in", "/in/side"]), st.booleans()), max_size=2
        )
    )
    memory = draw(st.lists(st.none() | st.sampled_from([1000, 1 << 20, 3 << 30]), max_size=2))
    nfs = draw(st.lists(st.booleans(), max_size=2))
    files = draw(st.lists(REFS, max_size=2))
    volumes = tuple(
        Volume(source=f"gs://{name}{path}", target=next(places), read_only=ro) for name, path, ro in buckets
    )
    found = {
        "memory_volumes": [{"target": next(places)} | ({} if size is None else {"size": size}) for size in memory],
        "nfs_volumes": [{"source": "10.0.0.2:/x", "target": next(places), "read_only": ro} for ro in nfs],
        "secret_files": [{"ref": ref, "target": f"{next(places)}/key.pem"} for ref in files],
    }
    way = {"vpc": {"network": "default"}} if nfs else {}  # by which alone an NFS server is reached
    return volumes, way | {name: said for name, said in found.items() if said}


@st.composite
def services(draw: st.DrawFn) -> ResolvedService:
    volumes, held = draw(mounts())
    limits = draw(st.none() | st.tuples(st.integers(0, 3), st.integers(3, 9)))
    readiness = draw(st.none() | st.builds(Readiness, path=PATHS, timeout=st.integers(1, 60)))
    return service(
        **draw(st.fixed_dictionaries(dict(WHAT_RUNS))),
        ports=draw(st.sampled_from([(), (Port(container=80),), (Port(container=8080, host=80),)])),
        scaling=None if limits is None else Scaling(min=limits[0], max=limits[1]),
        readiness=readiness,
        volumes=volumes,
        options={**draw(OF_SERVICES), **held},
    )


@st.composite
def jobs(draw: st.DrawFn) -> ResolvedService:
    volumes, held = draw(mounts())
    return job(
        **draw(st.fixed_dictionaries(dict(WHAT_RUNS))),
        timeout=draw(st.sampled_from([60.0, 300.0])),
        volumes=volumes,
        options={**draw(OF_JOBS), **held},
    )


PLANS = st.builds(plan, services(), jobs())


def again(text: str, source: str = "rendered") -> Plan:
    """The plan that the KDL for *text* makes. A variable or a template in it would be an error: nothing defines any."""
    with TemporaryDirectory() as folder:
        Path(folder, "fleet.kdl").write_text(imported(text, source=source), encoding="utf-8")
        loaded = load(Path(folder), stage=StageName("prd"), blocks=registry.blocks(), strict=True)
        assert loaded.warnings == ()
        return build(loaded.project, StageName("prd"))


def bodies(made: Plan) -> dict[str, object]:
    """What would be sent, and who would be let in."""
    found = [desired(made, each) for each in made.services if each.runtime == CLOUDRUN]
    return {each.name: (each.body, each.invokers, each.template) for each in found}


def joined(made: Plan, ending: str) -> str:
    """All files of one form, as one text."""
    texts = [text for name, text in rendered(made).items() if name.endswith(ending)]
    return f"[{','.join(texts)}]" if ending == ".json" else "---\n".join(texts)


def test_a_stage_that_says_everything_comes_back_as_it_was() -> None:
    first = rich()

    second = again(joined(first, ".json"))

    assert bodies(second) == bodies(first)


@given(PLANS)
@settings(deadline=None, max_examples=60)
def test_any_plan_comes_back_as_it_was_from_either_form(first: Plan) -> None:
    assert [problem.message for problem in check(first) if problem.severity == "error"] == []

    wanted = bodies(first)

    assert bodies(again(joined(first, ".json"))) == wanted
    assert bodies(again(joined(first, ".yaml"))) == wanted
