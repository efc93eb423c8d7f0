#!lua
-- SPDX-License-Identifier: Apache-2.0
-- due(republish: queues, served: {queue: schema}, patience, tell, request, window, windows)
--   -> {hints, idle, held, alone}
-- Delayed steps whose time came are ready. Windows are filled, as more workers may have come. For the queues in *republish*
-- the hints that are out are given again. Of a queue that nobody serves, or only workers too old for the plan (served: the
-- newest schema that they read), the run's watchers are told after *tell* seconds, and its ready steps fail after *patience*
-- seconds. A run whose deadline has passed ends: in line at once, under way as by a
-- cancel, but failed. A run that waited for quiet begins.
-- idle: no run is active or in line, nor is one to be rolled back. held: one is. alone: a run of the stage, active or in line, is
-- carried out by the process that made it, and by nobody else. The same request again: the first answer. Called by the
-- reconciler each second.

local again = recalled(base, 'due', argument.request)
if again then return again end
local active = redis.call('HGET', base .. ':stage', 'active')
local run = active and run_of(active)

local START = 'start one, with the same Redis and key: flow worker '

local function awaited(queue)
  return redis.call('EXISTS', run.key .. ':ready:' .. queue, run.key .. ':hinted:' .. queue) > 0
end

local function unserved(queue, severity, cause)
  if argument.served[queue] then
    return problem('worker-too-old', severity, 'the workers of queue `' .. queue .. '` are too old for this plan', cause,
      'update them, or ' .. START .. queue)
  end
  return problem('no-worker', severity, 'no worker serves the queue `' .. queue .. '`', cause, START .. queue)
end

local function fail_unserved(queue, since)
  local trouble = unserved(queue, 'error', (argument.served[queue] and 'no newer one' or 'none') .. ' for ' .. integer(math.floor(now - since)) .. ' s')
  for _, part in ipairs({':hinted:', ':ready:'}) do
    for _, id in ipairs(redis.call('ZRANGE', run.key .. part .. queue, 0, -1)) do
      local step = step_of(run, id)
      if step.status == 'ready' then fail(run, step, trouble) end
    end
  end
end

-- How long nobody has served *queue*. Between passes that are far apart somebody may have: then it counts anew.
local function unserved_since(queue)
  local field = 'unserved:' .. queue
  local text = redis.call('HGET', run.key, field)
  local since, last
  if text then since, last = string.match(text, '^(%S+) (%S+)$') end
  if not since or now - tonumber(last) > argument.patience / 2 then since = seconds(now) end
  redis.call('HSET', run.key, field, since .. ' ' .. seconds(now))
  return tonumber(since)
end

local function watch(queue)
  if (argument.served[queue] or 0) >= run.schema or not awaited(queue) then
    redis.call('HDEL', run.key, 'unserved:' .. queue, 'told:' .. queue)
    return
  end
  local since = unserved_since(queue)
  if now - since >= argument.patience then
    fail_unserved(queue, since)
  elseif now - since >= argument.tell and redis.call('HSETNX', run.key, 'told:' .. queue, 1) == 1 then
    emit(run, 'noted', '"problem":' .. unserved(queue, 'warning'))
  end
end

local function named(ids, count)
  for i, id in ipairs(ids) do ids[i] = '`' .. id .. '`' end
  return table.concat(ids, ', ') .. (count > #ids and ' and ' .. integer(count - #ids) .. ' more' or '')
end

local function first_of(part)
  local key = run.key .. part
  return redis.call('ZRANGE', key, 0, 2), redis.call('ZCARD', key)
end

-- What the active run was at when its time was over.
local function was_at()
  local ids, count = first_of(':leases')
  if count > 0 then return 'it was at ' .. named(ids, count) end
  ids, count = first_of(':delayed')
  if count > 0 then return 'it waited to try again: ' .. named(ids, count) end
  for _, queue in ipairs(cjson.decode(redis.call('HGET', run.key, 'queues'))) do
    for _, part in ipairs({':hinted:', ':ready:'}) do
      ids, count = first_of(part .. queue)
      if count > 0 then return 'it waited for a worker of queue `' .. queue .. '` for ' .. named(ids, count) end
    end
  end
end

local function waited_for()
  local undo = redis.call('HGET', base .. ':stage', 'undo')
  if active then return 'it waited in line for run ' .. active end
  return undo and 'it waited for the rollback of run ' .. undo or 'it waited in line for its turn'
end

local function end_late(id)
  local late = id == active and run or run_of(id)
  if late and late.status == 'queued' then
    redis.call('LREM', base .. ':line', 1, id)
    end_in_line(late, 'timeout', over_time(late, waited_for()))
  elseif late and late == run and not stopping(run) then
    redis.call('HSET', run.key, 'problem', over_time(run, was_at()))
    begin_ending(run, 'timeout')
    settle(run, {})
  end
  redis.call('ZREM', base .. ':deadlines', id)
end

local republish = {}
for _, queue in ipairs(argument.republish) do republish[queue] = true end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':deadlines', '-inf', seconds(now), 'LIMIT', 0, 100)) do end_late(id) end
if run and run.status == 'running' then
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', run.key .. ':delayed', '-inf', seconds(now), 'LIMIT', 0, 500)) do
    move(run, step_of(run, id), 'ready')
  end
  local queues, touched = cjson.decode(redis.call('HGET', run.key, 'queues')), {}
  for _, queue in ipairs(queues) do
    if run.status == 'running' then watch(queue) end
    touched[queue] = true
    if republish[queue] and run.status == 'running' then
      for _, id in ipairs(redis.call('ZRANGE', run.key .. ':hinted:' .. queue, 0, -1)) do hint(run, id, queue) end
    end
  end
  settle(run, touched)
elseif not run then
  start_next()
end
local line = redis.call('LRANGE', base .. ':line', 0, -1)
local stage = redis.call('HMGET', base .. ':stage', 'active', 'undo')

local function is_alone(id)
  return string.find(redis.call('HGET', base .. ':run:' .. id, 'queues') or '', '"local.', 1, true) ~= nil
end

local alone = stage[1] and is_alone(stage[1])
for _, id in ipairs(line) do alone = alone or is_alone(id) end

local idle = not stage[1] and not stage[2] and #line == 0
local answer = answered('"idle":' .. tostring(idle) .. ',"held":' .. tostring(stage[2] ~= false) .. ',"alone":' .. tostring(alone or false))
if #hints > 0 then remember(base, 'due', argument.request, answer) end
return answer
