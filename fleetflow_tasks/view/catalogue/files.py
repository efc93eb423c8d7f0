# SPDX-License-Identifier: Apache-2.0
"""What the text says and cannot be."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="What the files say",
    about="Told when files are read: by every command that needs them, without a network. The place "
    "behind the line is where the text says it.",
    entries=(
        Entry(
            code="bad-line",
            meaning="A line of an `.env` file is no `NAME=value`.",
            example="this line is not `NAME=value`",
        ),
        Entry(
            code="bad-name",
            meaning="A name holds what no name of its kind may hold.",
            example="`my shop` cannot be the name of a project",
            fix="Names of projects, stages and services take letters, digits, `-`, `_` and `.`, and begin with "
            "a letter or digit.",
        ),
        Entry(
            code="bad-pattern",
            meaning="A pattern of an `include` or of `fleetflow` paths cannot be read as a pattern.",
            example="`services/**.kdl` is no pattern of files",
        ),
        Entry(
            code="bad-reference",
            meaning="Something begins as a variable does, `${`, and is none.",
            example="`${A:+x}` is no variable",
            fix="A dollar that is meant to stay is written `$$`.",
        ),
        Entry(
            code="include-cycle",
            meaning="Files include each other in a circle.",
            example="files include each other: fleet.kdl -> teams/a.kdl -> fleet.kdl",
        ),
        Entry(
            code="incomplete",
            meaning="A node lacks something that it cannot be without.",
            example="`service` needs `name`",
        ),
        Entry(
            code="more-problems",
            meaning="So many problems were found that the rest of them is not told.",
            example="12 more problems are not told of",
        ),
        Entry(
            code="no-effect",
            meaning="A setting of one runtime stands in a stage that uses another one; it is left out.",
            example="`namespace` is a setting of kubernetes, and stage `local` runs on docker",
        ),
        Entry(
            code="no-file",
            meaning="Neither this folder nor one above it holds a FleetFlow file, or the folder that was named "
            "holds none.",
            example="there is no FleetFlow file here",
            fix="`flow init` writes a first one; `--file` names one elsewhere.",
        ),
        Entry(
            code="no-match",
            meaning="A pattern of an `include` finds nothing; that may be meant, so it is a warning.",
            example="`teams/*.kdl` matches no file",
        ),
        Entry(
            code="no-services",
            meaning="A stage is empty: it would deploy nothing.",
            example="stage `local` holds no service",
        ),
        Entry(
            code="no-stage",
            meaning="The files declare no stage, so there is nothing to deploy.",
            example="project `shop` has no stage",
        ),
        Entry(
            code="no-test",
            meaning="A `healthcheck` says how often to ask and not what.",
            example="the healthcheck of `api` has no `test`",
        ),
        Entry(
            code="no-value",
            meaning="A node stands there without the value that it is for.",
            example="`image` has no value",
        ),
        Entry(
            code="not-used",
            meaning="The node belongs to an earlier tool of the same name; it does nothing here.",
            example="`cloud` is not used by this tool",
        ),
        Entry(
            code="out-of-range",
            meaning="A number is none that is allowed there.",
            example="`port` takes a whole number from 1 to 65535, not `0`",
        ),
        Entry(
            code="readiness-path",
            meaning="The path of `readiness` is no path of a URL.",
            example="the path `health` of `readiness` must begin with `/`",
        ),
        Entry(
            code="request-above-limit",
            meaning="A service asks for more than it may use.",
            example="`memory` is more than `memory_limit`",
        ),
        Entry(
            code="said-twice",
            meaning="Something is said twice in one place; what is said last counts.",
            example="`api` gives a property twice; the last one counts",
        ),
        Entry(
            code="scaling-range",
            meaning="The least number of copies is above the greatest.",
            example="`min` 5 is more than `max` 2",
        ),
        Entry(
            code="secret-missing",
            meaning="The variable that a secret's value should come from is not set in this shell; on Kubernetes: "
            "the Secret that a service names is not in the namespace.",
            example="the secret's variable `DB_PASSWORD` is not set",
        ),
        Entry(
            code="secret-sources",
            meaning="A secret says two places that its value comes from.",
            example="secret `TOKEN` has two sources: `env` and `file`",
        ),
        Entry(
            code="shell-words",
            meaning="A command given as one text cannot be split into words as a shell would.",
            example='`echo "hello` opens a quote and does not close it',
            fix='Or write its words one by one: `command "echo" "hello"`.',
        ),
        Entry(
            code="syntax",
            meaning="The text is no KDL.",
            example="this property has no value",
            fix="`flow fmt --check` shows all that is wrong in all files.",
        ),
        Entry(
            code="template",
            meaning="Something is wrong with a `{{ }}` or `{% %}`: it cannot be rendered, or stands where templates"
            " are not read.",
            example="`include` cannot stand inside `{% %}`: it is read before templates are rendered",
        ),
        Entry(
            code="too-large",
            meaning="Files, values or texts are larger together than any project is; the bounds keep reading quick.",
            example="the files of this project are larger than 64 MiB together",
        ),
        Entry(
            code="too-many-files",
            meaning="Includes and patterns lead to more files than any project has.",
            example="the patterns of this project look at more than 20000 files and folders",
        ),
        Entry(
            code="too-many-values",
            meaning="A node that takes one value has several.",
            example="`image` takes one value, not 2",
        ),
        Entry(
            code="undefined-variable",
            meaning="A template or a `${NAME}` names a variable that nothing defines.",
            example="variable `VERSION` is not defined",
            fix="Define it in `variables`, in an `.env` file, or with `--var`.",
        ),
        Entry(
            code="unexpected-node",
            meaning="A block stands behind something that takes none.",
            example="`image` takes no block",
        ),
        Entry(
            code="unexpected-property",
            meaning="A property stands on something that takes none.",
            example="`entrypoint` takes no property `shell`",
        ),
        Entry(
            code="unexpected-value",
            meaning="A value stands where the node takes none.",
            example="`port` takes no value `80` here",
        ),
        Entry(
            code="unfit-include",
            meaning="The path of an `include` cannot be one.",
            example="a path cannot hold a NUL character",
        ),
        Entry(
            code="unformatted",
            meaning="`flow fmt` leaves a file alone, as it can be understood only after its templates are rendered.",
            example="`fleet.kdl` is left as it is: without what stands in `{% %}`, this block is not closed",
        ),
        Entry(
            code="unknown-node",
            meaning="The text names a node that does not exist there; with `--strict` it is an error.",
            example="unknown node `enviroment` in service `api`",
        ),
        Entry(
            code="unknown-property",
            meaning="The text names a property that does not exist there; with `--strict` it is an error.",
            example="unknown property `prot` of `readiness`",
        ),
        Entry(
            code="unreadable",
            meaning="A file cannot be read, or is no text.",
            example="`prod.env` cannot be read: no such file or directory",
        ),
        Entry(
            code="variable-cycle",
            meaning="Variables need each other in a circle, or in a chain that has no end.",
            example="variables need each other: A -> B -> A",
        ),
        Entry(
            code="wrong-choice",
            meaning="A value is none of those that may stand there.",
            example='`restart` cannot be `"sometimes"`',
        ),
        Entry(
            code="wrong-type",
            meaning="A value is of another kind than is meant.",
            example='`job` takes true or false, not `"yes"`',
        ),
    ),
)
