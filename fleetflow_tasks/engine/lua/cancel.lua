#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- cancel(run, request, at_once, settle, window, windows) -> {found, hints}
-- Nothing new begins: what waits, is ready or delayed is cancelled at once; what runs learns it when it renews, and the run
-- ends with its last lease. A queued run ends at once. hints: of the next run, if it begins.
-- at_once: what runs is cancelled too, whoever does it finds its fence gone. Its last call may be on its way until its lease is
-- over and *settle* seconds more: no other run of the stage begins before.
-- The same request again: the first answer. A run that ended stays as it is.

local run = run_of(argument.run)
if not run then return answered('"found":false') end
local again = recalled(run.key, 'cancel', argument.request)
if again then return again end

local function drop_running()
  local quiet = tonumber(redis.call('HGET', base .. ':stage', 'quiet') or 0)
  local held_until = redis.call('ZRANGE', run.key .. ':leases', 0, -1, 'WITHSCORES')
  for i = 1, #held_until, 2 do
    quiet = math.max(quiet, tonumber(held_until[i + 1]) + argument.settle)
    move(run, step_of(run, held_until[i]), 'cancelled')
  end
  if #held_until > 0 then redis.call('HSET', base .. ':stage', 'quiet', seconds(quiet)) end
end

if run.status == 'queued' then
  redis.call('LREM', base .. ':line', 1, run.id)
  end_in_line(run, 'cancelled')
elseif run.status == 'running' or run.status == 'ending' and (argument.at_once or run.reason ~= 'cancelled') then
  if run.reason == 'timeout' then redis.call('HDEL', run.key, 'problem') end  -- not the clock ends it now, but a person
  if run.reason ~= 'cancelled' then begin_ending(run, 'cancelled') end
  if argument.at_once then drop_running() end
  settle(run, {})
else
  return answered('"found":true')
end
return remember(run.key, 'cancel', argument.request, answered('"found":true'), run.status ~= 'ending')
