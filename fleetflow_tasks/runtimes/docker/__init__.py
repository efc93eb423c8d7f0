# SPDX-License-Identifier: Apache-2.0
"""One Docker Engine as a runtime, in six rooms.

    desired   step -> what should exist             pure
    observe   what does exist, one snapshot
    decide    desired, observed -> operations      pure
    apply     operation -> one API call             the only room that changes anything
    explain   why it failed
    runtime   calls the five, in the order of the story

`client` finds the Engine and turns the SDK's errors into ours; `options` is what `docker { … }` may say.
"""
