# SPDX-License-Identifier: Apache-2.0
"""The language, 1: text."""

import pytest

from fleetflow_tasks.config.schema import NOT_USED

from .conftest import Written, lines

LOCAL = '\nstage "local" { service "web" }'


def web(body: str) -> str:
    """One service whose body begins in line 2, column 5."""
    return f'service "web" {{\n    {body}\n}}{LOCAL}'


# --- KDL 1 and KDL 2


@pytest.mark.parametrize("written", ["read_only=true", "read_only=#true", 'read_only="true"'])
def test_kdl_1_and_kdl_2_are_both_accepted(shop: Written, written: str) -> None:
    shop(web(f'image "nginx:1"; volume "data" "/data" {written}'))

    assert [volume.read_only for volume in shop.service("web").volumes] == [True]


def test_each_file_is_parsed_by_itself_so_that_two_files_may_differ_in_version(shop: Written) -> None:
    shop('include "one.kdl" "two.kdl"\nstage "local" { service "a"; service "b" }').files(
        {
            "one.kdl": 'service "a" { image "a:1"; job true; command r"x\\y" "z" }',
            "two.kdl": 'service "b" { image "b:1"; job #true; command #"x\\y"# z }',
        }
    )

    assert [(service.job, service.command) for service in shop.plan().plan.services] == [(True, ("x\\y", "z"))] * 2


def test_one_file_is_of_one_version(shop: Written) -> None:
    shop(web('image "nginx:1"; job true; volume "a" "/a" read_only=#true'))

    assert shop.told() == lines("""
        fleet.kdl:2:58: `#true` is of another KDL version than the rest of the file
            2 |     image "nginx:1"; job true; volume "a" "/a" read_only=#true
              |                                                          ^^^^^
          fix: write the whole file in KDL 2 (`#true`, `#false`, `#null`)
    """)


@pytest.mark.parametrize(
    ("body", "command"),
    [
        ('command "a" "b" // "c"', ("a", "b")),
        ('command "a" /* "b" /* "c" */ */ "d"', ("a", "d")),
        ('command "a" \\ // goes on\n        "b"', ("a", "b")),
        ('command "a" /-"b" "c"', ("a", "c")),
        ('/-command "a"', None),
        ('command r#"a"b"# "c"', ('a"b', "c")),
        ('command ##"a"#b"## c', ('a"#b', "c")),
        ('command "\\u{e4}\\t" "c"', ("ä\t", "c")),
        ('command """\n    one\n      two\n    """ "c"', ("one\n  two", "c")),
    ],
)
def test_strings_raw_strings_comments_slashdash_and_escapes_are_those_of_kdl(
    shop: Written, body: str, command: tuple[str, ...] | None
) -> None:
    shop(web(f'image "nginx:1"\n    {body}'))

    assert shop.service("web").command == command


def test_slashdash_leaves_out_a_node_a_property_and_a_block(shop: Written) -> None:
    shop(web('image "nginx:1"; /-port 80; environment A=1 /-B=2 /-{ C 3 }'))

    assert shop.service("web").ports == ()
    assert shop.service("web").environment == {"A": "1"}


# --- every error and warning has its place


def test_every_error_and_warning_reads_file_line_and_column_with_the_source_line_and_a_caret(shop: Written) -> None:
    shop(web('image "nginx:1"; replicas "two"\n    enviroment { LOG "info" }'))

    assert shop.told() == lines("""
        fleet.kdl:2:31: `replicas` takes a whole number from 0 to 10000, not `"two"`
            2 |     image "nginx:1"; replicas "two"
              |                               ^^^^^

        fleet.kdl:3:5: warning: unknown node `enviroment` in service `web`
            3 |     enviroment { LOG "info" }
              |     ^^^^^^^^^^ did you mean `environment`?

        1 error, 1 warning
    """)


def test_the_place_is_the_one_in_the_users_file_where_strings_comments_and_templates_come_before_it(
    shop: Written,
) -> None:
    shop(
        """
        // image { nothing }
        service "web" { /* replicas 1 */ /-replicas "x"
            image r#"nginx:1"#
            environment A="{{ "replicas 3" | upper }}" B="two
        lines"
            replicas "two"
        }
        stage "local" { service "web" }
        """
    )

    assert shop.told() == lines("""
        fleet.kdl:6:14: `replicas` takes a whole number from 0 to 10000, not `"two"`
            6 |     replicas "two"
              |              ^^^^^
    """)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("image nginx:1; version 1.2.3", '2:28: `1.2.3` is no number => write `"1.2.3"`'),
        ('image #"nginx"', '2:11: this raw string is never closed => end it with `"#`'),
        ('image "nginx"}', "3:1: this `}` closes nothing => remove it, or add the `{` that it should close"),
        ("image (x nginx", "2:11: this `(` is never closed => write `(type)value`"),
        ("image=nginx", "2:10: `=` cannot stand here => write the whole word in quotes"),
    ],
)
def test_a_text_that_the_parser_refuses_is_blamed_on_the_offending_token(
    shop: Written, body: str, expected: str
) -> None:
    shop(web(body))

    assert shop.headlines()[0].startswith(f"fleet.kdl:{expected}")


# --- nothing is dropped in silence


def test_unknown_nodes_properties_and_children_are_warnings_with_a_suggestion(shop: Written) -> None:
    shop(
        """
        servce "db" { image "postgres:16" }
        service "web" { imagee "nginx:1"; port 80 protokol="udp"; healthcheck { test "true"; intervall 3 } }
        stage "local" { runtime "docker" { hots "web1" }; service "web" replica=3; services "db" }
        """
    )

    assert shop.headlines() == [
        "fleet.kdl:1:1: warning: unknown node `servce` => did you mean `service`?",
        "fleet.kdl:2:17: warning: unknown node `imagee` in service `web` => did you mean `image`?",
        "fleet.kdl:2:43: warning: unknown property `protokol` in `port` => did you mean `protocol`?",
        "fleet.kdl:2:86: warning: unknown node `intervall` in `healthcheck` => did you mean `interval`?",
        "fleet.kdl:3:36: warning: unknown node `hots` in `runtime` => did you mean `host`?",
        "fleet.kdl:3:65: warning: unknown property `replica` in service `web` => did you mean `replicas`?",
        "fleet.kdl:3:76: warning: unknown node `services` in stage `local` => did you mean `service`?",
    ]


def test_they_are_errors_under_strict(shop: Written) -> None:
    shop(web('image "nginx:1"\n    enviroment { LOG "info" }'))

    assert shop.told(strict=True) == lines("""
        fleet.kdl:3:5: unknown node `enviroment` in service `web`
            3 |     enviroment { LOG "info" }
              |     ^^^^^^^^^^ did you mean `environment`?
    """)


def test_a_node_that_stands_in_the_wrong_place_is_sent_to_the_right_one(shop: Written) -> None:
    shop(
        """
        image "nginx"
        service "web" { image "nginx:1"; include "x.kdl"; namespace "x"; concurrency 3; service_account "x" }
        stage "local" { service "web"; environment { A 1 } }
        """
    )

    assert [line.partition(" => ")[2] for line in shop.headlines()] == [
        "`image` belongs into `service`",
        "`include` belongs at top level",
        "`namespace` belongs into `runtime`",
        "`concurrency` belongs into `cloudrun`",
        "`service_account` belongs into `cloudrun` or into `kubernetes`",
        "`environment` belongs into `service`",
    ]


def test_a_typo_is_told_beside_the_error_that_it_causes(shop: Written) -> None:
    shop(
        'service "web" { image "nginx:1"; port 80 }\nstage "local" { runtime "cloudrun" projekt="shop-prd" region="europe-west1"; service "web" }'
    )

    assert shop.headlines() == [
        'fleet.kdl:2:25: stage `local` does not say in which Google Cloud project its services run => write `runtime "cloudrun" { project "my-project"; region "europe-west1" }`; `gcloud projects list` shows yours',
        "fleet.kdl:2:36: warning: unknown property `projekt` in `runtime` => did you mean `project`?",
    ]


def test_what_is_said_twice_in_one_definition_is_a_warning(shop: Written) -> None:
    shop(
        web(
            'image "a:1"; image "b:1"; environment { A 1; A 2 }; environment B=1 B=2; healthcheck { test "x"; test "y" }'
        )
    )

    assert shop.headlines() == [
        "fleet.kdl:2:18: warning: `image` is said twice in service `web`; the last one counts",
        "fleet.kdl:2:50: warning: `A` is said twice in `environment`; the last one counts",
        "fleet.kdl:2:71: warning: `environment` gives a property twice; the last one counts",
        "fleet.kdl:2:102: warning: `test` is said twice in `healthcheck`; the last one counts",
    ]
    assert shop.service("web").image == "b:1"


def test_nodes_of_the_earlier_tool_parse_and_are_reported_once_as_not_used_by_this_tool(shop: Written) -> None:
    every = "\n".join(f'{name} "x" {{ a 1 }}' for name in NOT_USED)
    shop(
        f'include "more.kdl"\n{every}\nservice "web" type="static" {{ image "nginx:1"; deploy "x" }}\nstage "local" {{ server "a"; service "web" }}'
    )
    shop.files({"more.kdl": every})

    told = shop.told()

    assert {name: told.count(f"note: `{name}` is not used by this tool") for name in NOT_USED} == dict.fromkeys(
        ("provider", "server", "tenant", "registry", "deploy", "type"), 1
    )
    assert told.endswith("6 notes")
    assert "error" not in shop.told(strict=True)


# --- values


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("image #null", '2:11: `image` has no value => write `""` where an empty text is meant'),
        ("replicas yes", "2:14: `replicas` takes a whole number from 0 to 10000, not `yes`"),
        ('job "yes"', '2:9: `job` takes true or false, not `"yes"` => write `#true`'),
        ("job 0", "2:9: `job` takes true or false, not `0` => write `#false`"),
        ('cloudrun { public "on" }', '2:23: `public` takes true or false, not `"on"` => write `#true`'),
        ("timeout soon", "2:13: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `soon`"),
        ("resources memory=much", "2:22: `memory` takes bytes (`256Mi`, `1g`) of at least 1, not `much`"),
        ("resources cpu=all", "2:19: `cpu` takes cores (`0.5`, `500m`) from 0.001 to 4096, not `all`"),
        ('restart "sometimes"', '2:13: `restart` cannot be `"sometimes"` => known are `always`, `no`, `on-failure`, `unless-stopped`'),
        ("environment { A }", "2:19: `A` has no value"),
        ("environment { A 1 2 }", "2:23: `A` takes one value, not 2"),
        ("environment { A { B 1 } }", "2:23: `A` takes no block"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_an_error_never_an_empty_string(shop: Written, body: str, expected: str) -> None:
    shop(web(body))

    assert f"fleet.kdl:{expected}" in shop.headlines()


def test_scalars_coerce_where_the_meaning_is_plain(shop: Written) -> None:
    shop(
        web('image "postgres"; version 16; environment { WORKERS 4; DEBUG true }; replicas "1"; job "true"; port "80"')
    )

    service = shop.service("web")

    assert service.image == "postgres:16"
    assert service.environment == {"WORKERS": "4", "DEBUG": "true"}
    assert (service.replicas, service.job, service.ports[0].container) == (1, True, 80)


@pytest.mark.parametrize(
    "written",
    ["16", "16.0", "1.10", "007", "0x10", "1_000", "1e3", "12e4567", "-1", "99999999999999999999999999", "true", "v1"],
)
def test_nothing_that_a_user_wrote_is_lost_where_a_number_stands_for_a_text(shop: Written, written: str) -> None:
    shop(web(f'image "nginx:1"; environment A={written}; labels {{ a {written} }}'))

    assert shop.service("web").environment == {"A": written}
    assert shop.service("web").labels == {"a": written}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("port 0", "2:10: `port` takes a whole number from 1 to 65535, not `0`"),
        ("port 65536", "2:10: `port` takes a whole number from 1 to 65535, not `65536`"),
        ("port 99999999999999999999", "2:10: `port` takes a whole number from 1 to 65535, not `99999999999999999999`"),
        ("port 80.5", "2:10: `port` takes a whole number from 1 to 65535, not `80.5`"),
        ("replicas -1", "2:14: `replicas` takes a whole number from 0 to 10000, not `-1`"),
        ("retries 101", "2:13: `retries` takes a whole number from 0 to 100, not `101`"),
        ("timeout #inf", "2:13: `timeout` takes seconds (`30`, `5m`) from 0.001 to 86400, not `#inf`"),
        ("resources memory=-1", "2:22: `memory` takes bytes (`256Mi`, `1g`) of at least 1, not `-1`"),
    ],
)
def test_a_number_out_of_range_is_an_error_never_wrapped(shop: Written, body: str, expected: str) -> None:
    shop(web(body))

    assert shop.headlines() == [f"fleet.kdl:{expected}"]


@pytest.mark.parametrize(("written", "port"), [("0x50", 80), ("80.0", 80), ("8e1", 80), ("8_0", 80), ('" 80 "', 80)])
def test_a_number_may_be_written_in_each_way_that_kdl_has(shop: Written, written: str, port: int) -> None:
    shop(web(f'image "nginx:1"; port {written}'))

    assert shop.service("web").ports[0].container == port
