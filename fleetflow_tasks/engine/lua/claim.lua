#!lua
-- SPDX-License-Identifier: Apache-2.0
-- claim(run, step, worker, nonce, schema, lease, window, windows)
--   -> {fence, attempt, losses, releases, generation, hints} | {refused}
-- nonce: of this one request; the same again is answered with the same fence.
-- refused: not-found | ended | newer-schema | not-ready | taken. Nothing is written then.
-- Gives the step to *worker* for *lease* seconds. Its hint is not out any more: hints, the one that takes its place.
-- Called by whoever got a hint. No allow-oom: a full Redis begins nothing new.

local function refused(why) return '{"refused":"' .. why .. '"}' end

local run = run_of(argument.run)
local step = run and step_of(run, argument.step)
if not step then return refused('not-found') end
local again = recalled(run.key, 'claim ' .. step.step, argument.nonce)
if again then return again end
if run.status == 'queued' then return refused('not-ready') end
if run.status ~= 'running' or ENDS[step.status] then return refused('ended') end
if run.schema > argument.schema then return refused('newer-schema') end
if step.status == 'running' then return refused('taken') end
if step.status ~= 'ready' then return refused('not-ready') end

-- Larger than any that this or an older state of the stage has given: the clock goes on where a failover lost the count.
step.fence = math.max(tonumber(redis.call('HGET', base .. ':stage', 'fence') or 0) + 1, micros)
step.attempt = (step.attempt or 0) + 1
step.worker = argument.worker
redis.call('HSET', base .. ':stage', 'fence', integer(step.fence))
move(run, step, 'running')
redis.call('ZADD', run.key .. ':leases', now + argument.lease, step.step)
top_up(run, step.queue)
return remember(run.key, 'claim ' .. step.step, argument.nonce,
  answered('"fence":' .. integer(step.fence) .. ',"attempt":' .. integer(step.attempt) .. ',"losses":' .. integer(step.losses or 0)
  .. ',"releases":' .. integer(step.releases or 0) .. ',"generation":' .. integer(run.generation)))
