#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- expire(losses, settle, lease, request, window, windows) -> {hints}
-- Steps whose lease is over are taken from their workers: ready again, or failed when it is the *losses*th time; cancelled
-- where the run ends. The next run waits *settle* seconds after such a lease: a call of the lost worker may be on its way.
-- The same request again: the first answer. Called by the reconciler, at most 100 steps a time.

local again = recalled(base, 'expire', argument.request)
if again then return again end
local active = redis.call('HGET', base .. ':stage', 'active')
local run = active and run_of(active)
if not run then return answered() end
local over = redis.call('ZRANGEBYSCORE', run.key .. ':leases', '-inf', seconds(now), 'WITHSCORES', 'LIMIT', 0, 100)
if #over == 0 then return answered() end

local touched, quiet = {}, tonumber(redis.call('HGET', base .. ':stage', 'quiet') or 0)
for i = 1, #over, 2 do
  local step = step_of(run, over[i])
  local silence = 'worker ' .. step.worker .. ' did not renew its lease of ' .. argument.lease .. ' s'
  quiet = math.max(quiet, tonumber(over[i + 1]) + argument.settle)
  step.losses = (step.losses or 0) + 1
  touched[step.queue] = true
  if step.losses >= argument.losses and not stopping(run) then
    fail(run, step, problem('worker-lost', 'error', 'its worker died ' .. argument.losses .. ' times', 'last: ' .. silence,
      'look at the log and the memory of that worker: it may be this step that kills it'))
  else
    give_back(run, step, problem('lease-lost', 'warning', silence))
  end
end
redis.call('HSET', base .. ':stage', 'quiet', seconds(quiet))
settle(run, touched)
return remember(base, 'expire', argument.request, answered())
