#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- undo_waits(failed, problem) -> 1 | 0
-- The stage is held for the rollback of *failed*, and nobody who is there can bring it about: *problem* (JSON) is told on that
-- run, once. Nothing happens where the stage is not held for it (any more). Called by whoever finds that out.

if redis.call('HGET', base .. ':stage', 'undo') ~= argument.failed then return 0 end
local failed = run_of(argument.failed)
if not failed or redis.call('HSETNX', failed.key, 'waits', 1) == 0 then return 0 end
emit(failed, 'noted', '"problem":' .. argument.problem)
return 1
