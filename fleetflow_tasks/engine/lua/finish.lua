#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- finish(run, step, fence, status, outcome, problem, retry_in, window, windows) -> {accepted, hints, ended}
-- status: succeeded (with outcome, JSON) | failed (with problem, JSON, and retry_in seconds or nil) | cancelled.
-- succeeded: successors whose needs are all done become ready. failed with retry_in: delayed, while the step's retries last.
-- failed for good, or cancelled: all that wait for it are skipped, the rest goes on; in a fail-fast run nothing new begins.
-- The last step ends the run, and the next in line begins in the same moment.
-- With a fence that is not the newest nothing changes. The same fence again: the first answer. Called by the step's worker.

local run = run_of(argument.run)
local request = integer(argument.fence)
local again = run and recalled(run.key, 'end ' .. argument.step, request)
if again then return again end
local step = held(run, argument.step, argument.fence)
if not step then return answered('"accepted":false') end

local touched = {[step.queue] = true}
local tries = step.attempt - (step.losses or 0) - (step.releases or 0)
if argument.status == 'succeeded' then
  move(run, step, 'succeeded', argument.outcome)
  touched = ready_successors(run, step)
elseif argument.status == 'cancelled' then
  move(run, step, 'cancelled')
  skip_dependants(run, step)
elseif argument.retry_in and tries <= step.retries and run.status == 'running' then
  step.due = now + argument.retry_in
  move(run, step, 'delayed', nil, argument.problem)
elseif argument.retry_in and stopping(run) then
  move(run, step, 'cancelled', nil, argument.problem)  -- it might have passed; nobody wants to know any more
else
  fail(run, step, argument.problem)
end
local over = settle(run, touched)
local ended = over and ',"ended":"' .. run.status .. '"' or ''
return remember(run.key, 'end ' .. step.step, request, answered('"accepted":true' .. ended), over)
