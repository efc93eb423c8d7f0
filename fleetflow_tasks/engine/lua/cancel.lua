#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- cancel(run, request, window, windows) -> {found, hints}
-- Nothing new begins: what waits, is ready or delayed is cancelled at once; what runs learns it when it renews, and the run
-- ends with its last lease. A queued run ends at once. hints: of the next run, if it begins.
-- The same request again: the first answer. A run that ended stays as it is.

local run = run_of(argument.run)
if not run then return answered('"found":false') end
local again = recalled(run.key, 'cancel', argument.request)
if again then return again end

if run.status == 'queued' then
  redis.call('LREM', base .. ':line', 1, run.id)
  run.reason = 'cancelled'
  for _, step in ipairs(steps_of(run)) do move(run, step, 'cancelled') end
  booked(run)
elseif run.status == 'running' or run.status == 'ending' and run.reason ~= 'cancelled' then
  begin_ending(run, 'cancelled')
  settle(run, {})
else
  return answered('"found":true')
end
return remember(run.key, 'cancel', argument.request, answered('"found":true'), run.status ~= 'ending')
