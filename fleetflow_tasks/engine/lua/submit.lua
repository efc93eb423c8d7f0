#!lua
-- SPDX-License-Identifier: Apache-2.0
-- submit(run, project, stage, actor, note, conflict, key, fail_fast, because, timeout, rollback, whole, adopt, undoes, after,
--        schema, events, order, roots, queues, steps, window, windows)
--   -> {run, hints, repeated} | {busy: run id} | {unheld: true} | {overtaken: true}
-- ARGV[3]  the sealed plan, stored as it comes
-- conflict: wait | supersede | fail. key: idempotency key or nil. because: JSON or nil. timeout: seconds or nil. whole: deploy |
-- teardown | nil. events: how many the stream keeps. order, roots, queues: JSON lists.
-- steps: lists of {id, service or '', queue, rank, retries, needs, after as JSON, kept}; needs: without those that are kept,
-- which count as done, with the outcome *kept* (JSON; nil for all others).
-- undoes: the failed run that the stage is held for, nil but for its rollback. That one stands before all others and lifts the
-- hold. If another one has done so, that is the answer, so that nothing is brought back twice; unheld: nobody, but the hold is gone.
-- after: a generation or nil. overtaken: another run than the one with that generation is the last that began, and may have
-- changed what this one would keep.
-- Writes a queued run at the end of the line, and starts it if the stage is free. Called by the submitter.
-- The same run again: its first answer. The same key: the run that has it. Refused when memory is full: no allow-oom.

local again = recalled(base .. ':run:' .. argument.run, 'submit', argument.run)
if again then return '{"repeated":true,' .. string.sub(again, 2) end
if redis.call('EXISTS', base .. ':run:' .. argument.run) == 1 then
  return '{"repeated":true,"run":"' .. argument.run .. '"}'  -- so late that the first answer is forgotten
end
if argument.key then
  local first = redis.call('GET', base .. ':key:' .. argument.key)
  if first and redis.call('EXISTS', base .. ':run:' .. first) == 1 then
    return '{"repeated":true,"run":"' .. first .. '"}'
  end
end
local has = redis.call('HMGET', base .. ':stage', 'active', 'undo', 'generation')
local active, undo = has[1], has[2]
local line = redis.call('LRANGE', base .. ':line', 0, -1)
if argument.undoes and argument.undoes ~= undo then
  local undone = redis.call('HGET', base .. ':run:' .. argument.undoes, 'undone')
  if undone and redis.call('EXISTS', base .. ':run:' .. undone) == 1 then return '{"repeated":true,"run":"' .. undone .. '"}' end
  return '{"unheld":true}'
end
if argument.after and argument.after ~= tonumber(has[3] or 0) then return '{"overtaken":true}' end
local busy = active or undo or line[1]
if argument.conflict == 'fail' and busy and not argument.undoes then return '{"busy":"' .. busy .. '"}' end

local superseded = problem('superseded', 'note', 'a newer run took its place: ' .. argument.run)
if argument.conflict == 'supersede' then
  redis.call('DEL', base .. ':line')
  for _, id in ipairs(line) do
    end_in_line(run_of(id), 'cancelled', superseded)
  end
  line = {}
  if undo and not argument.undoes then
    lift_hold(problem('no-rollback', 'note', 'not rolled back: a newer run took its place: ' .. argument.run))
  end
end

local run = {id = argument.run, key = base .. ':run:' .. argument.run, events = argument.events}
redis.call('HSET', run.key, 'status', 'queued', 'generation', 0, 'project', argument.project, 'stage', argument.stage,
  'actor', argument.actor, 'note', argument.note, 'submitted', seconds(now), 'schema', argument.schema,
  'fail_fast', argument.fail_fast and 1 or 0, 'events', argument.events, 'roots', argument.roots,
  'queues', argument.queues, 'failed', 0, 'cancelled', 0)
for field, value in pairs({
  because = argument.because, whole = argument.whole, rollback = argument.rollback and 1 or nil,
  adopt = argument.adopt and 1 or nil,
}) do redis.call('HSET', run.key, field, value) end
if argument.timeout then
  redis.call('HSET', run.key, 'deadline', seconds(now + argument.timeout))
  redis.call('ZADD', base .. ':deadlines', seconds(now + argument.timeout), run.id)
end
redis.call('SET', run.key .. ':sealed', ARGV[3])
redis.call('SET', run.key .. ':order', argument.order)
if argument.key then
  redis.call('HSET', run.key, 'key', argument.key)
  redis.call('SET', base .. ':key:' .. argument.key, run.id)
end
local steps, after, remaining = {}, {}, {}
local function write()
  if #steps == 0 then return end
  redis.call('HSET', run.key .. ':steps', unpack(steps))
  redis.call('HSET', run.key .. ':after', unpack(after))
  redis.call('HSET', run.key .. ':remaining', unpack(remaining))
  steps, after, remaining = {}, {}, {}
end
local left = 0
for _, given in ipairs(argument.steps) do
  local kept = given[8]
  local step = {
    step = given[1], service = given[2] ~= '' and given[2], queue = given[3], rank = given[4], retries = given[5],
    status = kept and 'succeeded' or 'waiting', since = now,
  }
  if not kept then left = left + 1 end
  local i = #steps + 1
  steps[i], steps[i + 1] = given[1], stored(step, told(step, kept))
  remaining[i], remaining[i + 1] = given[1], given[6]
  after[i], after[i + 1] = given[1], given[7]
  if i >= SLICE then write() end
end
write()
redis.call('HSET', run.key, 'left', left)
redis.call('ZADD', base .. ':runs', now, run.id)
-- A reconciler may have found the stage idle, and struck it out, since the submitter wrote it there.
redis.call('ZADD', 'ff:active', seconds(now), argument.project .. '/' .. argument.stage)
local ahead = #line
if argument.undoes then
  redis.call('HDEL', base .. ':stage', 'undo')
  local failed = run_of(argument.undoes)
  if failed then redis.call('HSET', failed.key, 'undone', run.id) end
  redis.call('LPUSH', base .. ':line', run.id)
  ahead = 0
else
  redis.call('RPUSH', base .. ':line', run.id)
end
emit(run, 'run.queued', '"actor":' .. quoted(argument.actor) .. ',"ahead":' .. integer(ahead + (is_held() and 1 or 0)))

local before = active and argument.conflict == 'supersede' and run_of(active)
if before and before.reason ~= 'cancelled' then
  redis.call('HSET', before.key, 'problem', superseded)
  begin_ending(before, 'cancelled')
  booked(before)
end
start_next()
local over = redis.call('HEXISTS', run.key, 'ended') == 1
return remember(run.key, 'submit', run.id, answered('"run":"' .. run.id .. '"'), over)
