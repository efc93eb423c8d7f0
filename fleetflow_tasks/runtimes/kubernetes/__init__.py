# SPDX-License-Identifier: Apache-2.0
"""One Kubernetes cluster as a runtime. `runtime` calls the rooms in the order of the story; this is their map.

What should be, all of it pure: `desired` asks for the objects of a service. They are plain JSON, made by one function per
kind upon `manifests`, their common form: `template` makes the pod, with `probes`, `dependencies` (that it waits for), `stopping`,
`environment` (its variables) and `storage` (its claims); `workloads` keeps it running, `routes` leads to it. `options` is
what `kubernetes { … }` of a service may say, `settings` what its stage says; `check` says what cannot be, with
`option_checks`, `between` (services of one stage), and `complaints`, their form. `names` and `quantities`
are how things are written; `kinds` is the closed table of what we make and read.

What is: `observe` looks at a stage once for all of its steps, `place` is where it looks. `objects` reads the API's JSON,
with `events`, `podstate` and `amounts`. `store` keeps what is known of a namespace, `listening` hears of one kind in it,
`watches` shares that among all steps.

What to do, pure: `decide` compares and chooses; `differences` names fields, `contents` the variables behind them, with
`merging`, the API's rules; `managed` knows whose a field is, `before` the version that was there. `changes` shows it as a
plan does, `classes` what the cluster lacks for it, `inway` what of others is in its way, `settled` whether what is as it should
be serves. Then `work` carries a decision out by `apply`, the only room that
changes anything but for `prune`, which removes what is not needed any more, and asks `strangers` before a namespace goes.

How it went: `waiting` waits until `done` says that it is ready, or `diagnose` why it is not (`diagnosis` is such a cause),
which asks `schedule`, `pulls`, `crashes`, `unhealthy`, and `unmade` where there is no pod. `explain` puts the API server's
own refusals into words, `words` ours; `admission` is what both kinds of refusal share.

How it is reached: `access` finds the cluster, by `kubeconfig`, with `credentials`, `plugins`, `reach` and `proxies`; `wire` is
the line to it, with `turns` (who may ask next), `lines`, `clock` and `trouble` (what goes wrong on it), `client` the methods
upon it. `identity` tells clusters apart.

For people: `status`, `logs`, `execute` and `forward` (both by `channels`), `instances`, how they name pods; `examine` looks at
a cluster for `flow doctor`, and asks for the `rights` that we need.
"""
