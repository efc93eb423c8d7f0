# SPDX-License-Identifier: Apache-2.0
"""One Kubernetes cluster as a runtime, in the rooms that every runtime has.

    desired   service -> the objects that should exist     pure
    observe   what does exist, one snapshot
    decide    desired, observed -> operations              pure
    apply     operation -> one API call                    the only room that changes anything
    explain   why it failed
    runtime   calls the five, in the order of the story

The objects are plain JSON, made by one function per kind: `template` and `probes` make the pod, `storage` its claims,
`environment` its variables, `workloads` what keeps it running, `routes` how it is reached. `kinds` is the closed table
of what we make and read; `options` is what `kubernetes { … }` may say.
"""
