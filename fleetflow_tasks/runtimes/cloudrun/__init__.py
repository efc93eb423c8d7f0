# SPDX-License-Identifier: Apache-2.0
"""Google Cloud Run as a runtime. `runtime` calls the rooms in the order of the story; this is their map.

What should be, all of it pure: `desired` asks for the Service or Job of a service of the plan, in the API's own JSON (`form`).
`source` is what it is made from; `template` makes what revisions and executions are made from, with `sizes` (cpu and
memory), `probes`, `variables` (its environment) and `storage` (what is mounted). `options` is what `cloudrun { … }` of a
service may say, with `block_rows` for its larger words, `settings` what its stage says. `names` is how things are called and
labelled. `check` says what cannot be, by `shape_checks`, `variable_checks`, `storage_checks`, `size_checks`, `probe_checks` and
`block_checks`, each of its subject, in the form that `complaints` gives them.

How it is reached: `access` finds the endpoint and connects, `credentials` is who we are there; `wire` is the line to it, with
`quota` (how many requests Google allows), `messages` (its messages as JSON) and `trouble` (what goes wrong on it), `client`
the methods upon it.

What is: `observe` looks at a region once for all steps of a run, `place` is where it looks.

What to do: `decide` compares, pure, and chooses; `differences` names fields, `changes` shows it as a plan does. Then `work` carries
it out: by `apply`, the only room that changes anything but for a policy; by `waiting`, which asks until it is done; by
`callers`, who are let in and shut out. Where a new version fails, `restore` puts the version before back, which `last`
remembers. `prune` removes what is not needed any more, `words` says why we did not even try.

Who gets its requests, all of it pure: `shares` are what the API calls traffic, `canary` is a roll-out as the service itself
remembers it, `traffic` decides. `trial` asks a revision before it gets any, with an `identity_token` where it checks its
callers.

How it went, most of it pure: `conditions` says whether a service serves, `causes` why it does not: a `diagnosis`, from
`image_causes`, `container_causes` or `project_causes`. `explain` puts a refusal (`answer`) into words, with
`denials`, those that somebody mends who grants rights. Both name the line of gcloud that
mends it: `rights` is what we must be allowed, `grants` writes the line. `reading` reads the API's JSON for all of them.

Jobs are `jobs`: `executions` knows whether one has run, so that none runs twice. `iam` lets callers in.

For people: `status`; `logs`, which asks Cloud Logging for what `printed` says; `examine` looks at a project for `flow doctor`.

As files and back, all of it pure: `render` writes a service for people, for review and for gcloud, which speaks an older form:
`knative` turns one into the other, by `knative_tables` (which field is which), `knative_head` (around a template) and
`knative_parts` (inside). `mapping` reads such a table in both directions, `spelling` how a value is written in either form,
`crossing` and `aliases` are where the forms differ in more than that. `imported` is `flow import`: `found` reads what gcloud
printed, `translated` makes KDL of it, with `translated_block`, `translated_probes` and `translated_volumes`; `amounts` are
written another way there. The text is written by `config.as_kdl`.
"""
