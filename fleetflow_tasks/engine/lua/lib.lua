-- SPDX-License-Identifier: Apache-2.0
-- What several scripts share: how a step moves, and what follows from it. store.py puts this text between the first line of
-- each script and the rest of it, so that a rule stands once. (Redis Functions would share code too, but under one name
-- for all versions of FleetFlow at work on a server; a script is found by its content, so N and N-1 do not disturb each other.)
--
-- Every script:  KEYS[1]  ff:{project/stage}, the tag of the stage; all other keys are made from it (keys.py lists them)
--                ARGV[1]  microseconds of a test's clock, or '' for Redis's own
--                ARGV[2]  msgpack map of the script's arguments
-- reads and checks first and writes last: nothing that may fail stands behind the first write, for Lua rolls nothing back.
--
-- Numbers never pass through cjson.encode: it writes 14 digits, a fence has 16.

local base = KEYS[1]
local argument = cmsgpack.unpack(ARGV[2])
local micros
if ARGV[1] ~= '' then
  micros = tonumber(ARGV[1])
else
  local time = redis.call('TIME')
  micros = time[1] * 1000000 + time[2]
end
local now = micros / 1000000

local DAY = 86400
local LIFE = 30 * DAY     -- seconds an ended run is kept,
local RUNS = 50           -- if it is among so many of its stage;
local LAST = 400 * DAY    -- seconds the stage's good run is kept, while none takes its place: a year, and some leave
local INDEX = 60 * DAY    -- seconds of `ff:run:<id>`, as keys.py sets it
local ANSWER = 3600       -- seconds an ended run's answers are kept; a repeated request comes within seconds
local SLICE = 1000        -- values per call: Lua's stack holds some 8,000
local ENDS = {succeeded = true, failed = true, skipped = true, cancelled = true}

local hints = {}          -- JSON, in the order in which they are to be published

local function integer(number) return string.format('%.0f', number) end
local function seconds(number) return string.format('%.6f', number) end
local function quoted(text) return cjson.encode(text) end

local function answered(members)
  local text = '"hints":[' .. table.concat(hints, ',') .. ']'
  return '{' .. text .. (members and ',' .. members or '') .. '}'
end

-- A request that comes again gets the first answer. One answer is kept per place: the next request overwrites it.
local function recalled(key, place, request)
  local text = redis.call('HGET', key .. ':answers', place)
  local head = request .. '\n'
  if text and string.sub(text, 1, #head) == head then return string.sub(text, #head + 1) end
end

local function remember(key, place, request, answer, over)
  redis.call('HSET', key .. ':answers', place, request .. '\n' .. answer)
  if over then redis.call('EXPIRE', key .. ':answers', ANSWER) end
  return answer
end

local function run_of(id)
  local key = base .. ':run:' .. id
  local has = redis.call('HMGET', key, 'status', 'generation', 'reason', 'fail_fast', 'schema', 'events', 'key',
    'deadline', 'rollback', 'whole', 'adopt', 'submitted')
  if not has[1] then return nil end
  return {
    id = id, key = key, status = has[1], generation = tonumber(has[2]), reason = has[3], fail_fast = has[4] == '1',
    schema = tonumber(has[5]), events = has[6], idempotency = has[7], gone = 0, failed = 0, cancelled = 0,
    -- An older FleetFlow wrote no more than those above. whole: 'deploy' or 'teardown' of its whole stage.
    deadline = tonumber(has[8]), rollback = has[9] == '1', whole = has[10], adopt = has[11] == '1',
    submitted = tonumber(has[12]),
  }
end

local function step_of(run, id)
  local text = redis.call('HGET', run.key .. ':steps', id)
  local step = text and cjson.decode(text)
  if step and step.step ~= id then error('the state of step ' .. id .. ' is that of another') end
  return step
end

-- The steps of a run in the plan's order.
local function steps_of(run)
  local order, found = cjson.decode(redis.call('GET', run.key .. ':order')), {}
  for first = 1, #order, SLICE do
    local last = math.min(first + SLICE - 1, #order)
    for _, text in ipairs(redis.call('HMGET', run.key .. ':steps', unpack(order, first, last))) do
      found[#found + 1] = cjson.decode(text)
    end
  end
  return found
end

local function emit(run, kind, members)
  local event = '{"type":"' .. kind .. '","at":' .. seconds(now) .. (members and ',' .. members or '') .. '}'
  redis.call('XADD', run.key .. ':events', 'MAXLEN', '~', run.events, '*', 'e', event)
end

local function problem(code, severity, message, cause, fix)
  local text = '{"code":"' .. code .. '","severity":"' .. severity .. '","message":' .. quoted(message)
  if cause then text = text .. ',"cause":[' .. quoted(cause) .. ']' end
  if fix then text = text .. ',"fix":' .. quoted(fix) end
  return text .. '}'
end

-- What a step's state and the event of its move have in common. Defaults are left out, as msgspec leaves them out.
local function told(step, outcome, trouble)
  local text = '"step":' .. quoted(step.step) .. ',"status":"' .. step.status .. '"'
  if (step.attempt or 0) > 0 then text = text .. ',"attempt":' .. integer(step.attempt) end
  if (step.losses or 0) > 0 then text = text .. ',"losses":' .. integer(step.losses) end
  if (step.releases or 0) > 0 then text = text .. ',"releases":' .. integer(step.releases) end
  if (step.fence or 0) > 0 then text = text .. ',"fence":' .. integer(step.fence) end
  if step.worker then text = text .. ',"worker":' .. quoted(step.worker) end
  if step.due then text = text .. ',"due":' .. seconds(step.due) end
  if outcome then text = text .. ',"outcome":' .. outcome end
  if trouble then text = text .. ',"problem":' .. trouble end
  return text
end

local function stored(step, common)
  local text = '{' .. common .. ',"since":' .. seconds(step.since)
  if step.started then text = text .. ',"started":' .. seconds(step.started) end
  if step.ended then text = text .. ',"ended":' .. seconds(step.ended) end
  if step.service then text = text .. ',"service":' .. quoted(step.service) end
  return text .. ',"queue":' .. quoted(step.queue) .. ',"rank":' .. integer(step.rank)
    .. ',"retries":' .. integer(step.retries) .. '}'
end

-- The only place where a step moves: out of the index of its old status, into that of the new one, one event.
-- outcome, trouble: JSON, or nil; they last until the next move. Ends are counted here and booked by `settle`.
local function move(run, step, status, outcome, trouble)
  local was = step.status
  if was == 'ready' then
    redis.call('ZREM', run.key .. ':ready:' .. step.queue, step.step)
    redis.call('ZREM', run.key .. ':hinted:' .. step.queue, step.step)
  elseif was == 'running' then
    redis.call('ZREM', run.key .. ':leases', step.step)
    step.ended = now
  elseif was == 'delayed' then
    redis.call('ZREM', run.key .. ':delayed', step.step)
    step.due = nil
  end
  step.status, step.since = status, now
  if status == 'ready' then
    step.worker = nil
    redis.call('ZADD', run.key .. ':ready:' .. step.queue, -step.rank, step.step)
  elseif status == 'delayed' then
    step.worker = nil
    redis.call('ZADD', run.key .. ':delayed', step.due, step.step)
  elseif status == 'running' then
    step.started, step.ended = now, nil
  elseif ENDS[status] then
    run.gone = run.gone + 1
    if status == 'failed' then run.failed = run.failed + 1 end
    if status == 'cancelled' then run.cancelled = run.cancelled + 1 end
  end
  local common = told(step, outcome, trouble)
  redis.call('HSET', run.key .. ':steps', step.step, stored(step, common))
  emit(run, 'step.moved', common)
end

local function hint(run, id, queue)
  hints[#hints + 1] = '{"run":"' .. run.id .. '","step":' .. quoted(id) .. ',"queue":' .. quoted(queue) .. '}'
end

-- Hint ready steps of *queue*, the longest way to the end first, up to the window: what a run may have out at once, so that
-- a thousand ready steps do not stand before another run's three.
local function top_up(run, queue)
  local window = argument.windows[queue] or argument.window
  local room = window - redis.call('ZCARD', run.key .. ':hinted:' .. queue)
  if room <= 0 then return end
  local first = redis.call('ZPOPMIN', run.key .. ':ready:' .. queue, room)
  for i = 1, #first, 2 do
    redis.call('ZADD', run.key .. ':hinted:' .. queue, first[i + 1], first[i])
    hint(run, first[i], queue)
  end
end

-- One need of each successor of *step* is done; those without any left are ready.
local function ready_successors(run, step)
  local touched = {[step.queue] = true}
  for _, id in ipairs(cjson.decode(redis.call('HGET', run.key .. ':after', step.step))) do
    if redis.call('HINCRBY', run.key .. ':remaining', id, -1) == 0 then
      local successor = step_of(run, id)
      if successor.status == 'waiting' then
        move(run, successor, 'ready')
        touched[successor.queue] = true
      end
    end
  end
  return touched
end

-- All that wait for *step*, and what waits for them: only waiting steps can be among them.
local function skip_dependants(run, step)
  local because = problem('skipped', 'note', 'not begun: `' .. step.step .. '` ' .. step.status)
  local stack = {step.step}
  while #stack > 0 do
    local after = cjson.decode(redis.call('HGET', run.key .. ':after', table.remove(stack)))
    for _, id in ipairs(after) do
      local dependant = step_of(run, id)
      if dependant.status == 'waiting' then
        move(run, dependant, 'skipped', nil, because)
        stack[#stack + 1] = id
      end
    end
  end
end

-- Whether the steps of *run* that are under way are told, when they renew, to stop.
local function stopping(run) return run.reason == 'cancelled' or run.reason == 'timeout' end

-- No step is begun any more. Those that run come to their end, or are told to stop.
local function begin_ending(run, reason)
  run.status, run.reason = 'ending', reason
  redis.call('HSET', run.key, 'status', 'ending', 'reason', reason)
  emit(run, 'run.ending', '"reason":"' .. reason .. '"')
  for _, step in ipairs(steps_of(run)) do
    if step.status ~= 'running' and not ENDS[step.status] then
      move(run, step, stopping(run) and 'cancelled' or 'skipped')
    end
  end
end

local function forget(id)
  local key = base .. ':run:' .. id
  local idempotency = redis.call('HGET', key, 'key')
  redis.call('UNLINK', key, key .. ':steps', key .. ':after', key .. ':order', key .. ':sealed', key .. ':events',
    key .. ':answers', key .. ':remaining', key .. ':leases', key .. ':delayed')
  if idempotency then redis.call('UNLINK', base .. ':key:' .. idempotency) end
  redis.call('ZREM', base .. ':runs', id)
end

-- How long an ended run's keys live.
local function keep(run, life)
  for _, part in ipairs({'', ':steps', ':order', ':sealed', ':events'}) do redis.call('EXPIRE', run.key .. part, life) end
  if run.idempotency then redis.call('EXPIRE', base .. ':key:' .. run.idempotency, life) end
end

-- The good run is the last that succeeded in deploying its stage as a whole: the one to roll back to. A stage that was taken
-- down has none. True if *run* is it. Its index lies outside the stage, and must live as long.
local function is_good_now(run, status)
  if status ~= 'succeeded' or not run.whole then return false end
  local old = redis.call('HGET', base .. ':stage', 'good')
  local before = old and run_of(old)
  if before then
    keep(before, LIFE)
    redis.call('EXPIRE', 'ff:run:' .. old, INDEX)
    redis.call('ZADD', base .. ':ended', now, old)
  end
  if run.whole ~= 'deploy' then
    redis.call('HDEL', base .. ':stage', 'good')
    return false
  end
  redis.call('HSET', base .. ':stage', 'good', run.id)
  redis.call('EXPIRE', 'ff:run:' .. run.id, LAST + INDEX - LIFE)
  return true
end

-- Forget those that outlived their time, and of the others the oldest that are too many.
local function sweep()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', base .. ':ended', '-inf', seconds(now - LIFE))) do
    redis.call('ZREM', base .. ':ended', id)
    forget(id)
  end
  local surplus = redis.call('ZCARD', base .. ':ended') - RUNS
  if surplus <= 0 then return end
  for i, id in ipairs(redis.call('ZPOPMIN', base .. ':ended', surplus)) do
    if i % 2 == 1 then forget(id) end
  end
end

local function end_run(run, status)
  local begun = run.status ~= 'queued'
  run.status = status
  redis.call('HSET', run.key, 'status', status, 'ended', seconds(now))
  local trouble = redis.call('HGET', run.key, 'problem')
  emit(run, 'run.ended', '"status":"' .. status .. '"' .. (trouble and ',"problem":' .. trouble or ''))
  redis.call('UNLINK', run.key .. ':remaining', run.key .. ':leases', run.key .. ':delayed', run.key .. ':after')
  for _, queue in ipairs(cjson.decode(redis.call('HGET', run.key, 'queues'))) do
    redis.call('UNLINK', run.key .. ':ready:' .. queue, run.key .. ':hinted:' .. queue)
  end
  redis.call('EXPIRE', run.key .. ':answers', ANSWER)
  redis.call('ZREM', base .. ':deadlines', run.id)
  local good = is_good_now(run, status)
  keep(run, good and LAST or LIFE)
  if not good then redis.call('ZADD', base .. ':ended', now, run.id) end
  sweep()
  if redis.call('HGET', base .. ':stage', 'active') == run.id then redis.call('HDEL', base .. ':stage', 'active') end
  if status == 'failed' and run.rollback and begun then redis.call('HSET', base .. ':stage', 'undo', run.id) end
  if status ~= 'succeeded' and begun then
    -- Not a step: whoever gets it removes what this run prepared and never started (tidy.py). A `flow up` does so unasked.
    for _, queue in ipairs(cjson.decode(redis.call('HGET', run.key, 'queues'))) do
      if string.sub(queue, 1, 6) ~= 'local.' then hint(run, 'run:tidy', queue) end
    end
  end
end

-- Book the ends that this script brought; the last one ends the run. True if it did.
local function booked(run)
  if run.failed > 0 then redis.call('HINCRBY', run.key, 'failed', run.failed) end
  if run.cancelled > 0 then redis.call('HINCRBY', run.key, 'cancelled', run.cancelled) end
  if run.gone > 0 then redis.call('HINCRBY', run.key, 'left', -run.gone) end
  run.gone, run.failed, run.cancelled = 0, 0, 0
  if tonumber(redis.call('HGET', run.key, 'left')) > 0 then return false end
  local has = redis.call('HMGET', run.key, 'failed', 'cancelled')
  local status = 'succeeded'
  if run.reason == 'cancelled' then status = 'cancelled'
  elseif run.reason == 'timeout' or tonumber(has[1]) > 0 then status = 'failed'
  elseif tonumber(has[2]) > 0 then status = 'cancelled' end
  end_run(run, status)
  return true
end

local function over_time(run, cause)
  local given = math.floor((run.deadline - run.submitted) * 1000 + 0.5) / 1000
  return problem('run-timeout', 'error', 'not done after ' .. string.format('%.14g', given) .. ' s', cause,
    'give it longer (--timeout), or see what took so long: flow show ' .. run.id)
end

-- A run in line, taken out of it, ends without having begun.
local function end_in_line(run, reason, trouble)
  if trouble then redis.call('HSET', run.key, 'problem', trouble) end
  run.reason = reason
  for _, step in ipairs(steps_of(run)) do
    if not ENDS[step.status] then move(run, step, 'cancelled') end
  end
  booked(run)
end

local function begin(run, generation)
  redis.call('HSET', base .. ':stage', 'active', run.id, 'generation', integer(generation))
  redis.call('HSET', run.key, 'status', 'running', 'generation', integer(generation), 'started', seconds(now))
  run.status, run.generation = 'running', generation
  emit(run, 'run.started', '"generation":' .. integer(generation))
  if run.adopt then
    for _, field in ipairs(redis.call('HKEYS', base .. ':stage')) do
      if string.sub(field, 1, 7) == 'engine:' then redis.call('HDEL', base .. ':stage', field) end
    end
  end
  local has = redis.call('HMGET', run.key, 'roots', 'queues')
  for _, root in ipairs(cjson.decode(has[1])) do move(run, step_of(run, root), 'ready') end
  for _, queue in ipairs(cjson.decode(has[2])) do top_up(run, queue) end
end

-- Begin the next run in line if the stage is free, is not held for a rollback, and has been left alone long enough by workers
-- that lost a lease (`quiet`): one of their calls may still be on its way to the platform.
local function start_next()
  local generation = tonumber(redis.call('HGET', base .. ':stage', 'generation') or 0)
  while true do
    local stage = redis.call('HMGET', base .. ':stage', 'active', 'undo', 'quiet')
    if stage[1] or stage[2] or tonumber(stage[3] or 0) > now then return end
    local id = redis.call('LPOP', base .. ':line')
    if not id then return end
    local run = run_of(id)
    if run.deadline and run.deadline <= now then
      end_in_line(run, 'timeout', over_time(run, 'it waited in line for its turn'))
    else
      generation = math.max(generation + 1, math.floor(micros / 1000))
      begin(run, generation)
      booked(run)  -- one without steps, or all of whose steps are kept, ends as it begins
    end
  end
end

-- The stage is not held any more, and nothing is brought back. why: JSON, told on the run that failed.
local function lift_hold(why)
  local id = redis.call('HGET', base .. ':stage', 'undo')
  local failed = id and run_of(id)
  redis.call('HDEL', base .. ':stage', 'undo')
  if not failed then return end
  redis.call('HSETNX', failed.key, 'problem', why)
  emit(failed, 'noted', '"problem":' .. why)
end

-- The end of each script that moved steps: book the ends, top up the windows that changed, begin the next run.
local function settle(run, touched)
  local over = booked(run)
  if over then
    start_next()
  elseif run.status == 'running' then
    local queues = {}
    for queue in pairs(touched) do queues[#queues + 1] = queue end
    table.sort(queues)  -- pairs() has no order of its own, and an answer must be the same each time
    for _, queue in ipairs(queues) do top_up(run, queue) end
  end
  return over
end

-- The step that *fence* gives a right to, or nil: somebody else has it, or nobody.
local function held(run, id, fence)
  local step = run and step_of(run, id)
  if step and step.status == 'running' and step.fence == fence then return step end
end

-- The step failed for good.
local function fail(run, step, trouble)
  move(run, step, 'failed', nil, trouble)
  skip_dependants(run, step)
  if run.fail_fast and run.status == 'running' then begin_ending(run, 'failed') end
end

-- A running step is given back. In a run that ends nobody would take it.
local function give_back(run, step, trouble)
  move(run, step, run.status == 'ending' and 'cancelled' or 'ready', nil, trouble)
end

-- Whether something stands before the line: a run, or the rollback of one that failed.
local function is_held()
  local has = redis.call('HMGET', base .. ':stage', 'active', 'undo')
  return has[1] or has[2]
end

-- A run as model.Run reads it.
local function described(id)
  local flat = redis.call('HGETALL', base .. ':run:' .. id)
  if #flat == 0 then return nil end
  local has = {}
  for i = 1, #flat, 2 do has[flat[i]] = flat[i + 1] end
  local text = '{"id":"' .. id .. '","project":' .. quoted(has.project) .. ',"stage":' .. quoted(has.stage)
    .. ',"status":"' .. has.status .. '","generation":' .. has.generation .. ',"submitted":' .. has.submitted
    .. ',"actor":' .. quoted(has.actor) .. ',"note":' .. quoted(has.note)
  if has.started then text = text .. ',"started":' .. has.started end
  if has.ended then text = text .. ',"ended":' .. has.ended end
  if has.problem then text = text .. ',"problem":' .. has.problem end
  if has.because then text = text .. ',"because":' .. has.because end
  if has.deadline then text = text .. ',"deadline":' .. has.deadline end
  if has.rollback == '1' then text = text .. ',"rollback":true' end
  if has.whole == 'deploy' then text = text .. ',"whole":true' end
  if has.status == 'queued' then
    text = text .. ',"ahead":' .. integer((redis.call('LPOS', base .. ':line', id) or 0) + (is_held() and 1 or 0))
  end
  return text .. '}'
end
