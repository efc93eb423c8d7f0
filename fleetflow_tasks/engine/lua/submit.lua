#!lua
-- SPDX-License-Identifier: Apache-2.0
-- submit(run, project, stage, actor, note, conflict, key, fail_fast, schema, events, order, roots, queues, steps, window, windows)
--   -> {run, hints, repeated} | {busy: run id}
-- ARGV[3]  the sealed plan, stored as it comes
-- conflict: wait | supersede | fail. key: idempotency key or nil. events: how many the stream keeps.
-- order, roots, queues: JSON lists. steps: lists of {id, service or '', queue, rank, retries, needs, after as JSON}.
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
local active = redis.call('HGET', base .. ':stage', 'active')
local line = redis.call('LRANGE', base .. ':line', 0, -1)
if argument.conflict == 'fail' and (active or line[1]) then return '{"busy":"' .. (active or line[1]) .. '"}' end

local superseded = problem('superseded', 'note', 'a newer run took its place: ' .. argument.run)
if argument.conflict == 'supersede' then
  redis.call('DEL', base .. ':line')
  for _, id in ipairs(line) do
    local waiting = run_of(id)
    for _, step in ipairs(steps_of(waiting)) do move(waiting, step, 'cancelled') end
    waiting.reason = 'cancelled'
    redis.call('HSET', waiting.key, 'problem', superseded)
    booked(waiting)
  end
  line = {}
end

local run = {id = argument.run, key = base .. ':run:' .. argument.run, events = argument.events}
redis.call('HSET', run.key, 'status', 'queued', 'generation', 0, 'project', argument.project, 'stage', argument.stage,
  'actor', argument.actor, 'note', argument.note, 'submitted', seconds(now), 'schema', argument.schema,
  'fail_fast', argument.fail_fast and 1 or 0, 'events', argument.events, 'roots', argument.roots,
  'queues', argument.queues, 'left', #argument.steps, 'failed', 0, 'cancelled', 0)
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
for _, given in ipairs(argument.steps) do
  local step = {
    step = given[1], service = given[2] ~= '' and given[2], queue = given[3], rank = given[4], retries = given[5],
    status = 'waiting', since = now,
  }
  local i = #steps + 1
  steps[i], steps[i + 1] = given[1], stored(step, told(step))
  remaining[i], remaining[i + 1] = given[1], given[6]
  after[i], after[i + 1] = given[1], given[7]
  if i >= SLICE then write() end
end
write()
redis.call('ZADD', base .. ':runs', now, run.id)
redis.call('RPUSH', base .. ':line', run.id)
emit(run, 'run.queued', '"actor":' .. quoted(argument.actor) .. ',"ahead":' .. integer(#line + (active and 1 or 0)))

local before = active and argument.conflict == 'supersede' and run_of(active)
if before and before.reason ~= 'cancelled' then
  redis.call('HSET', before.key, 'problem', superseded)
  begin_ending(before, 'cancelled')
  booked(before)
end
start_next()
local over = redis.call('HEXISTS', run.key, 'ended') == 1
return remember(run.key, 'submit', run.id, answered('"run":"' .. run.id .. '"'), over)
