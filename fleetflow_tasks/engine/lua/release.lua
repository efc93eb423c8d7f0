#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- release(run, step, fence, reason, window, windows) -> {accepted, hints}
-- Gives a step back that was begun and can be begun again by another: ready, no loss counted; cancelled where the run ends.
-- With a fence that is not the newest nothing changes. The same fence again: the first answer. Called by a worker that leaves.

local run = run_of(argument.run)
local request = integer(argument.fence)
local again = run and recalled(run.key, 'end ' .. argument.step, request)
if again then return again end
local step = held(run, argument.step, argument.fence)
if not step then return answered('"accepted":false') end

step.releases = (step.releases or 0) + 1
give_back(run, step, problem('released', 'note', argument.reason))
local over = settle(run, {[step.queue] = true})
local ended = over and ',"ended":"' .. run.status .. '"' or ''
return remember(run.key, 'end ' .. step.step, request, answered('"accepted":true' .. ended), over)
