#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- no_undo(failed, problem, window, windows) -> {hints}
-- The stage is held for the rollback of *failed*, and there is nothing to go back to, or it cannot be: *problem* (JSON) is told
-- on that run, and the next in line begins. hints: of that one. Nothing happens where the stage is not held for it (any more);
-- whoever asks a second time gets the first answer. Called by the reconciler.

local again = recalled(base, 'no_undo', argument.failed)
if redis.call('HGET', base .. ':stage', 'undo') ~= argument.failed then return again or answered() end
lift_hold(argument.problem)
start_next()
return remember(base, 'no_undo', argument.failed, answered())
