#!lua
-- SPDX-License-Identifier: Apache-2.0
-- tell(run, kind, members, step, fence) -> 1 | 0
-- An event that moves nothing: `step.progressed`, only under the step's newest fence; `noted`, by anyone (fence nil).
-- members: the event's own, as JSON without braces. Not for transitions: those tell themselves.

local run = run_of(argument.run)
if not run or redis.call('HEXISTS', run.key, 'ended') == 1 then return 0 end
if argument.fence and not held(run, argument.step, argument.fence) then return 0 end
emit(run, argument.kind, argument.members)
return 1
