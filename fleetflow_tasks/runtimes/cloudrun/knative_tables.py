# SPDX-License-Identifier: Apache-2.0
"""Which field of the v2 form is which of Knative's: one table per kind, read in both directions by `mapping`.

What Knative's form has no field for stands in annotations of Google's own (`run.googleapis.com/ingress`), which v2 in turn
refuses; the accepted ones are listed in the v1 reference at `ObjectMeta.annotations`.
"""

from fleetflow_tasks.runtimes.cloudrun.aliases import ALIASES, SPELLING
from fleetflow_tasks.runtimes.cloudrun.crossing import CloudSql, Cpu, Waits
from fleetflow_tasks.runtimes.cloudrun.knative_head import Labels, Notes, Place, Target
from fleetflow_tasks.runtimes.cloudrun.knative_parts import NETWORKS, containers, volumes
from fleetflow_tasks.runtimes.cloudrun.mapping import Each, Field, Path, Rule
from fleetflow_tasks.runtimes.cloudrun.spelling import (
    COUNT,
    HOURS,
    JSON_TEXTS,
    NUMBER,
    SECONDS,
    TEXT,
    WORD,
    Spelling,
    UnfitError,
    text,
    words,
)

OBJECT: Path = ("metadata", "annotations")
REVISION: Path = ("spec", "template", "metadata", "annotations")
INGRESS = words(
    {
        "INGRESS_TRAFFIC_ALL": "all",
        "INGRESS_TRAFFIC_INTERNAL_ONLY": "internal",
        "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER": "internal-and-cloud-load-balancing",
        "INGRESS_TRAFFIC_NONE": "none",
    }
)
EGRESS = words(
    {"ALL_TRAFFIC": "all-traffic", "PRIVATE_RANGES_ONLY": "private-ranges-only"}, also={"all": "ALL_TRAFFIC"}
)
GENERATIONS = words({"EXECUTION_ENVIRONMENT_GEN1": "gen1", "EXECUTION_ENVIRONMENT_GEN2": "gen2"})
_REVOKED = words({"PREVENT_NEW": "prevent-new", "SHUTDOWN": "shut-down"})


def note(name: str, at: Path = OBJECT) -> Path:
    return (*at, f"run.googleapis.com/{name}")


def _policy(value: object) -> str:
    """Binary authorization's policy by name. `default` is a word of its own."""
    if value == "default":
        raise UnfitError(value)
    return text(value)


def _default(value: object) -> str:
    if value is not True:
        raise UnfitError(value)
    return "default"


def _is_default(value: object) -> bool:
    if value != "default":
        raise UnfitError(value)
    return True


_AUTHORIZED = ("binaryAuthorization",)
_AROUND: tuple[Rule, ...] = (
    Field(v2=("etag",), v1=("metadata", "resourceVersion")),
    Field(v2=("launchStage",), v1=note("launch-stage")),
    Field(v2=("client",), v1=note("client-name")),
    Field(v2=("clientVersion",), v1=note("client-version")),
    Field(
        v2=(*_AUTHORIZED, "useDefault"),
        v1=note("binary-authorization"),
        spelling=Spelling(there=_default, back=_is_default),
    ),
    Field(v2=(*_AUTHORIZED, "policy"), v1=note("binary-authorization"), spelling=Spelling(there=_policy, back=_policy)),
    Field(v2=(*_AUTHORIZED, "breakglassJustification"), v1=note("binary-authorization-breakglass")),
    Labels(v2=("labels",), v1=("metadata", "labels")),
)


def _running(v2: Path, v1: Path) -> tuple[Rule, ...]:
    """What the template of a revision and that of a task have in common. v2, v1: where they stand."""
    return (
        containers((*v2, "containers"), (*v1, "containers")),
        volumes((*v2, "volumes"), (*v1, "volumes")),
        Field(v2=(*v2, "timeout"), v1=(*v1, "timeoutSeconds"), spelling=SECONDS),
        Field(v2=(*v2, "serviceAccount"), v1=(*v1, "serviceAccountName")),
        Field(v2=(*v2, "nodeSelector", "accelerator"), v1=(*v1, "nodeSelector", "run.googleapis.com/accelerator")),
        *(
            Field(v2=(*v2, *path), v1=note(name, REVISION), spelling=spelling)
            for path, name, spelling in (
                (("executionEnvironment",), "execution-environment", GENERATIONS),
                (("encryptionKey",), "encryption-key", TEXT),
                (("vpcAccess", "connector"), "vpc-access-connector", TEXT),
                (("vpcAccess", "egress"), "vpc-access-egress", EGRESS),
                (("vpcAccess", "networkInterfaces"), "network-interfaces", NETWORKS),
                (("gpuZonalRedundancyDisabled",), "gpu-zonal-redundancy-disabled", WORD),
                ((ALIASES,), "secrets", SPELLING),
            )
        ),
        CloudSql(at=v2, note=note("cloudsql-instances", REVISION)),
        Waits(at=v2, note=note("container-dependencies", REVISION)),
    )


def _notes(v2: Path, v1: Path) -> Notes:
    return Notes(v2=v2, v1=v1)


SERVICE: tuple[Rule, ...] = (
    Place(collection="services"),
    *_AROUND,
    *(
        Field(v2=path, v1=note(name), spelling=spelling)
        for path, name, spelling in (
            (("description",), "description", TEXT),
            (("ingress",), "ingress", INGRESS),
            (("invokerIamDisabled",), "invoker-iam-disabled", WORD),
            (("defaultUriDisabled",), "default-url-disabled", WORD),
            (("iapEnabled",), "iap-enabled", WORD),
            (("customAudiences",), "custom-audiences", JSON_TEXTS),
            (("scaling", "minInstanceCount"), "minScale", COUNT),
            (("scaling", "maxInstanceCount"), "maxScale", COUNT),
            (("scaling", "manualInstanceCount"), "manualInstanceCount", COUNT),
            (("scaling", "scalingMode"), "scalingMode", words({"AUTOMATIC": "automatic", "MANUAL": "manual"})),
        )
    ),
    _notes(("annotations",), OBJECT),
    Field(v2=("template", "revision"), v1=("spec", "template", "metadata", "name")),
    Labels(v2=("template", "labels"), v1=("spec", "template", "metadata", "labels")),
    *_running(("template",), ("spec", "template", "spec")),
    Field(
        v2=("template", "maxInstanceRequestConcurrency"),
        v1=("spec", "template", "spec", "containerConcurrency"),
        spelling=NUMBER,
    ),
    *(
        Field(v2=("template", *path), v1=(*REVISION, name), spelling=spelling)
        for path, name, spelling in (
            (("scaling", "minInstanceCount"), "autoscaling.knative.dev/minScale", COUNT),
            (("scaling", "maxInstanceCount"), "autoscaling.knative.dev/maxScale", COUNT),
            (("sessionAffinity",), "run.googleapis.com/sessionAffinity", WORD),
            (("healthCheckDisabled",), "run.googleapis.com/health-check-disabled", WORD),
            (("serviceMesh", "mesh"), "run.googleapis.com/mesh", TEXT),
            (("encryptionKeyRevocationAction",), "run.googleapis.com/post-key-revocation-action-type", _REVOKED),
            (("encryptionKeyShutdownDuration",), "run.googleapis.com/encryption-key-shutdown-hours", HOURS),
        )
    ),
    Cpu(at=("template",), note=note("cpu-throttling", REVISION), boost=note("startup-cpu-boost", REVISION)),
    _notes(("template", "annotations"), REVISION),
    Each(
        v2=("traffic",),
        v1=("spec", "traffic"),
        rules=(Target(), Field(v2=("percent",), v1=("percent",), spelling=NUMBER), Field(v2=("tag",), v1=("tag",))),
    ),
)

_EXECUTION: Path = ("spec", "template", "spec")
JOB: tuple[Rule, ...] = (
    Place(collection="jobs"),
    *_AROUND,
    _notes(("annotations",), OBJECT),
    Labels(v2=("template", "labels"), v1=("spec", "template", "metadata", "labels")),
    Field(v2=("template", "parallelism"), v1=(*_EXECUTION, "parallelism"), spelling=NUMBER),
    Field(v2=("template", "taskCount"), v1=(*_EXECUTION, "taskCount"), spelling=NUMBER),
    *_running(("template", "template"), (*_EXECUTION, "template", "spec")),
    Field(
        v2=("template", "template", "maxRetries"),
        v1=(*_EXECUTION, "template", "spec", "maxRetries"),
        spelling=NUMBER,
    ),
    _notes(("template", "annotations"), REVISION),
)
