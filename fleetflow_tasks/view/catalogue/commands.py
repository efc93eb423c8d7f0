# SPDX-License-Identifier: Apache-2.0
"""The command line itself."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Commands",
    about="What a command says of how it was called, and of its own work.",
    entries=(
        Entry(
            code="bug",
            meaning="A mistake in FleetFlow. The traceback is kept in a file.",
            example="a mistake in FleetFlow itself: KeyError: 'api'",
            fix="Report it, with that file.",
        ),
        Entry(
            code="declined",
            meaning="The question was answered with no.",
            example="nothing was done: the answer was no",
        ),
        Entry(
            code="format-bug",
            meaning="`flow fmt` would have changed what a file means, noticed it, and left it alone.",
            example="`fleet.kdl` is left as it is: its nodes would be other ones",
        ),
        Entry(
            code="import-alias",
            meaning="A file to be imported uses YAML's `*alias`.",
            example="api.yaml holds a YAML alias, which is not read",
            fix="Write what it stands for, or export the file anew.",
        ),
        Entry(
            code="import-deep",
            meaning="A file to be imported is nested deeper than any service is.",
            example="api.yaml is nested too deep",
        ),
        Entry(
            code="import-empty",
            meaning="A file to be imported holds nothing of Cloud Run.",
            example="api.yaml holds no service and no job of Cloud Run",
        ),
        Entry(
            code="import-file",
            meaning="A file to be imported cannot be read.",
            example="`api.yaml` is no UTF-8 text",
        ),
        Entry(
            code="import-kind",
            meaning="A file to be imported holds something else than a service or job.",
            example="api.yaml holds what is neither a service nor a job of Cloud Run",
        ),
        Entry(
            code="import-text",
            meaning="A file to be imported holds characters that no text file can.",
            example="api.yaml holds a character that KDL cannot: NUL, or half of a surrogate pair",
        ),
        Entry(
            code="import-unreadable",
            meaning="A file to be imported is neither JSON nor YAML.",
            example="api.yaml is neither JSON nor YAML",
        ),
        Entry(
            code="interrupted",
            meaning="A signal ended the command, or its question was not answered.",
            example="interrupted by SIGINT",
            fix="For `flow up`: run it again, and it goes on where it was.",
        ),
        Entry(
            code="no-folder",
            meaning="The folder that the command was started in has been removed.",
            example="the folder in which this command was started is not there any more",
        ),
        Entry(
            code="no-import",
            meaning="There is no import from that.",
            example="nothing is imported from `heroku`: known are `cloudrun`",
        ),
        Entry(
            code="no-port",
            meaning="`flow port-forward` needs a port, and the service declares none.",
            example="service `mailer` declares no port",
        ),
        Entry(
            code="not-confirmed",
            meaning="The command loses data and could not ask: there is no terminal, or `--no-input` is set.",
            example="not confirmed, so nothing was done: Remove 2 volumes and their data?",
        ),
        Entry(
            code="not-interactive",
            meaning="A runtime from elsewhere offers no way into a service.",
            example="service `api` cannot be entered: the runtime `nomad` offers no way in",
        ),
        Entry(
            code="output-unwritten",
            meaning="Standard output has no room.",
            example="the output could not be written: No space left on device",
        ),
        Entry(
            code="project-exists",
            meaning="`flow init` does not write over a project.",
            example="`fleet.kdl` is there already, and is left as it is",
        ),
        Entry(
            code="render-foreign",
            meaning="`flow render` does not mix its files with others.",
            example="out/notes.yaml is not of this stage's rendering, so it is left alone, and nothing was written",
        ),
        Entry(
            code="render-no-folder",
            meaning="What `flow render` should write to is a file.",
            example="`out` is no folder",
        ),
        Entry(
            code="unwritable",
            meaning="A file cannot be written.",
            example="`fleet.kdl` cannot be written: permission denied",
        ),
        Entry(
            code="usage",
            meaning="The command line is wrong.",
            example="No such option '--stagee'. Did you mean '--stage'?",
        ),
    ),
)
