# SPDX-License-Identifier: Apache-2.0
"""The prose of the reference page, chapter by chapter: what no row of the schema can say.

`@NAME@` stands for what another module knows, so that it is written down once: see `reference`.
"""

BEGINNING = """\
# The FleetFlow language

<!-- Printed by `python -m fleetflow_tasks.runtimes.reference`; change `fleetflow_tasks/config/schema.py` instead,
     `reference_text.py` beside it, or the `options.py` of a runtime. -->

What a `.kdl` file may say, and what it means on each runtime: [Text](#text) · [Files](#files) · [Images](#images) ·
[Variables](#variables) · [Dependencies](#dependencies) · [Definitions that meet](#definitions-that-meet) ·
[Kinds of values](#kinds-of-values) · [Nodes](#nodes) · [Runtimes](#runtimes)

```kdl
project "shop"

service "postgres" {
    image "postgres"
    version "16"
    environment { POSTGRES_DB "shop" }
    secrets { POSTGRES_PASSWORD env="PG_PASSWORD" }
    volume "pgdata" "/var/lib/postgresql/data"
    healthcheck { test "CMD-SHELL" "pg_isready"; interval 2; retries 20 }
}

service "api" {
    image "ghcr.io/shop/api"
    version "1.4"
    port 8080 80
    depends_on "postgres"
}

stage "local" {
    service "postgres"
    service "api"
}

stage "prd" {
    runtime "kubernetes" { namespace "shop" }
    variables { LOG "warning" }
    service "postgres"
    service "api" { replicas 3 }
}
```
"""

TEXT = """\
## Text

Files are [KDL](https://kdl.dev), version 1 or 2, decided per file: `read_only=true` and `read_only=#true` both work, in one
file only one of the two. Comments are `//`, `/* */` and `/-`, which leaves out the node, the value or the block behind it; `\\`
at the end of a line goes on in the next.

Every error and warning names file, line and column, shows the line, and says what was probably meant:

```text
fleet.kdl:12:9: warning: unknown node `enviroment` in service `api`
   12 |         enviroment { LOG "info" }
      |         ^^^^^^^^^^ did you mean `environment`?
```

What is not known is never passed over in silence: unknown nodes and properties are warnings, with `--strict` errors. So is
what one definition says twice, where the last one counts. @NOT_USED@ belong to an earlier tool of the same name: they are
accepted, and reported once as not used.
"""

FILES = """\
## Files

Searched from the working directory upwards: @NAMES@; or the path in `--file` or `FLEETFLOW_FILE`. Beside it, where there:

1. `services/**/*.kdl`
2. `stages/**/*.kdl`
3. `variables/**/*.kdl`
4. for one stage alone `fleet.{stage}.kdl`, then `flow.{stage}.kdl`: so `fleet.local.kdl` counts in the stage `local` only

A later file wins over an earlier one.

`include "teams/*.kdl" "shared/**/*.kdl"` reads other files, at top level of any file, relative to that file. An included file counts at the place of its `include`. A file
is read once, however often and by whatever path it is included; files that include each other are an error that prints the chain.
`include` and `variables` are read before templates are rendered, so neither can stand inside `{% if %}`.

Paths in volumes, `env_file`, `secrets` and `build` are relative to the project's folder: the one that holds the file, or that
holds `.fleetflow`. Where somebody works does not matter.

**Which stage**: the one on the command line (`flow up prd`, `--stage prd`), else `FLEETFLOW_STAGE`, else `FLEET_STAGE`, else
`local`, else the only one.
"""

IMAGES = """\
## Images

| `image` | `version` | what runs |
|---|---|---|
| | | `{service}:latest` |
| | `"16"` | `{service}:16` |
| `"postgres"` | | `postgres:latest` |
| `"postgres"` | `"16"` | `postgres:16` |
| `"postgres:16"` | the same, or none | `postgres:16` |
| `"postgres@sha256:…"` | the same, or none | that very image |
| `"postgres"` | `"sha256:…"` | `postgres@sha256:…` |
| `"postgres:16"` | another | an error |

The tag is what follows the last `:` behind the last `/`: `registry:5000/x` has none. One image for all stages is a practice that
`flow promote --from stg --to prd` enforces: it deploys to prd the digests that stg runs.
"""

VARIABLES = """\
## Variables

```kdl
variables { DOMAIN "example.org"; WEB_PORT 8080 }

service "web" {
    image "ghcr.io/shop/web:{{ TAG | default("edge") }}"
    port host={{ WEB_PORT }} container=80
    environment { URL "https://${DOMAIN}/"; LOG "${LOG:-info}"; PRICE "5 $$" }
}

stage "local" { service "web" }

stage "prd" {
    variables { DOMAIN "shop.example.org"; TAG "1.4" }
    service "web"
}
```

- `{{ NAME }}`, `{% if %}`, `{% for %}`, `{% set %}` and `{% raw %}` are Jinja2's, in a sandbox, rendered before the text is read.
  So are filters such as `default("x")` (Tera's `default(value="x")` too), `upper`, `lower`.
- `${NAME}` inside a text is the same variable; `${NAME:-default}` where it is not there or empty, `${NAME-default}` where it is
  not there; `${NAME:?message}` says why it must be there. `$$` is a dollar.
- A variable that is not defined is an error with its name and place.
- Whatever a value holds, it stays one text: it cannot add nodes or end a string.

Strength, weakest first:

1. `.env`
2. `.env.{stage}`
3. `variables` at top level
4. `variables` of the stage
5. variables of the process that begin with @PREFIXES@
6. `--var NAME=VALUE`

A stage's `variables` are environment of every service in that stage as well. What a service's `env_file` says is stronger, its
own `environment` strongest. @RESERVED@ are no environment: they configure the stage's runtime.

`.env` and `env_file` are read as Docker Compose reads them: `NAME=value`, `export` before it or not, `#` begins a comment,
double quotes know `\\n` and `${NAME}`, single quotes keep everything as it stands.
"""

DEPENDENCIES = """\
## Dependencies

```kdl
service "postgres" {
    image "postgres:16"
    healthcheck { test "pg_isready" }
}

service "migrate" {
    image "ghcr.io/shop/api:1.4"
    command "migrate"
    job #true
    depends_on "postgres"
}

service "worker" {
    image "ghcr.io/shop/worker:1.4"
    depends_on {
        service "postgres" condition="healthy"
        service "migrate" condition="completed"
        service "mail" required=#false
    }
}

stage "local" { service "postgres"; service "migrate"; service "worker" }
```

| condition | means | is the default |
|---|---|---|
| `started` | the process runs | else |
| `healthy` | its check passes | where the other has a `healthcheck` or `readiness` |
| `completed` | it ended with 0 | for a job |

Errors, before anything is touched: a service that nobody declares; one that the stage does not hold (add it, or mark the
dependency `required=#false`); a cycle, printed as `api -> web -> api`. An optional dependency gives way in a cycle.
"""

MEETING = """\
## Definitions that meet

A service in a stage is the top-level definition with the stage's block over it. `service` and `stage` nodes of one name, in one
file or in several, become one.

- Values and lists of the later definition replace those of the earlier: `image`, `command`, `ports`, `volumes`, `depends_on`.
- Maps and blocks merge per name: `environment`, `secrets`, `labels`, `resources`, `healthcheck`, `kubernetes`.
- A node that says nothing at all takes back what an earlier definition said:

```kdl
service "web" {
    image "ghcr.io/shop/web:1.4"
    depends_on "api"
    scaling min=2 max=9
}

service "api" { image "ghcr.io/shop/api:1.4" }

stage "local" {
    service "web" { depends_on; scaling }
}
```

An empty block, `environment { }`, adds nothing and takes nothing back. `readiness` is the exception: alone it means
`readiness path="/"`.
"""

VALUES = """\
## Kinds of values

| kind | written as |
|---|---|
| text | `"text"`; a number or `true` is its own text, as it was written: `version 1.10`, `DEBUG true` |
| number | `3`, also `"3"`, `0x1F` and `1_000` |
| true or false | `#true`, `true`, `"true"` |
| duration | seconds: `30`, `1.5`; or `"30s"`, `"5m"`, `"1h30m"`, `"250ms"` |
| size | bytes; `"256Mi"` is 256 · 1024², `"256M"` 256 · 1000² as Kubernetes has it, `"256m"` 256 · 1024² as Docker has it |
| cores | `0.5`, `"500m"` |

A value of another kind, or a number out of range, is an error. `null` is no value anywhere.
"""

RUNTIMES = """\
Of a stage, strongest first: `--runtime`, `FLEETFLOW_RUNTIME`, its `runtime`, its `backend`, the variable `RUNTIME`, docker.
A service's own `runtime` beats its stage's. A name that is not known is an error.

| | docker | kubernetes | cloudrun |
|---|---|---|---|
| service | a container `{project}-{stage}-{service}` | a Deployment; a StatefulSet where it has named volumes of its own | a Service `{project}-{stage}-{service}` |
| job | a container that must end with 0 | a Job | a Job |
| `port` | host port to container port; without a host port the first free one from 11000 up, always the same | a Service in the cluster (`service_type`) | its HTTPS address; one port |
| `volume` | a bind mount or a named volume | a claim for a named one; a path is an error | a bucket, `gs://…`; others are an error |
| `environment` | environment | a ConfigMap, named by what it holds | environment |
| `secrets` | environment, never shown; `ref` is an error | a Secret, named by what it holds; `ref` names one that is there | with `ref` Secret Manager's; by value an error |
| `depends_on` | order of start, each waits as its condition says | the same, and a pod that starts again later waits for the other's port (`wait=#false` goes without) | order of deployment; the other's address is told as `{NAME}_URL` and `{NAME}_HOST` |
| `healthcheck` | the engine's healthcheck | startup, readiness and liveness probes | an error: no command can be run; `readiness` asks by HTTP |
| `replicas` | more than 1 is an error | replicas | instances |
| `scaling` | an error | a HorizontalPodAutoscaler, which then owns `replicas` | least and most instances |
| `ingress` | an error | an Ingress | its own block: `public`, `invoker`, `ingress` |
| network | a network `{project}-{stage}`, where each is reached by its name | the namespace's DNS, where each is reached by its name | HTTPS |
| names | 63 characters; inside also `_` and `.` | 63; 52 with volumes of its own | 49, with project and stage |

A job runs again when what it is made of has changed; with `rerun "always"` in every deployment.

What a runtime cannot honour is an error that names the service, the node and the runtime, before anything is touched.
`flow validate` also warns of what is probably not meant: state on a runtime that keeps none, a floating `latest` outside
`local`, a service that is not the same image in all stages.

More: [Kubernetes](kubernetes.md), [Cloud Run](cloudrun.md).
"""

PROSE = (BEGINNING, TEXT, FILES, IMAGES, VARIABLES, DEPENDENCIES, MEETING, VALUES)
"""The chapters before the nodes; `RUNTIMES` comes behind them."""
