#!lua
-- SPDX-License-Identifier: Apache-2.0
-- due(republish: queues, served: {queue: true}, patience, tell, request, window, windows) -> {hints, idle}
-- Delayed steps whose time came are ready. Windows are filled, as more workers may have come. For the queues in *republish*
-- the hints that are out are given again. Of a queue that nobody serves the run's watchers are told after *tell* seconds,
-- and its ready steps fail after *patience* seconds. A run that waited for quiet begins.
-- idle: no run is active or in line. The same request again: the first answer. Called by the reconciler each second.

local again = recalled(base, 'due', argument.request)
if again then return again end
local active = redis.call('HGET', base .. ':stage', 'active')
local run = active and run_of(active)

local START = 'start one, with the same Redis and key: flow worker '

local function awaited(queue)
  return redis.call('EXISTS', run.key .. ':ready:' .. queue, run.key .. ':hinted:' .. queue) > 0
end

local function fail_unserved(queue, since)
  local trouble = problem('no-worker', 'error', 'no worker serves the queue `' .. queue .. '`',
    'none for ' .. integer(math.floor(now - since)) .. ' s', START .. queue)
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
  if argument.served[queue] or not awaited(queue) then
    redis.call('HDEL', run.key, 'unserved:' .. queue, 'told:' .. queue)
    return
  end
  local since = unserved_since(queue)
  if now - since >= argument.patience then
    fail_unserved(queue, since)
  elseif now - since >= argument.tell and redis.call('HSETNX', run.key, 'told:' .. queue, 1) == 1 then
    emit(run, 'noted', '"problem":' .. problem('no-worker', 'warning', 'no worker serves the queue `' .. queue .. '`', nil,
      START .. queue))
  end
end

local republish = {}
for _, queue in ipairs(argument.republish) do republish[queue] = true end

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
local idle = redis.call('HEXISTS', base .. ':stage', 'active') == 0 and redis.call('EXISTS', base .. ':line') == 0
local answer = answered('"idle":' .. tostring(idle))
if #hints > 0 then remember(base, 'due', argument.request, answer) end
return answer
