#!lua flags=no-writes
-- SPDX-License-Identifier: Apache-2.0
-- snapshot(run) -> {run, steps, last} | nil
-- A run, all its steps in the plan's order, and the id of the last event that they include, of one moment.
-- Whoever reads the events after `last` misses nothing and sees nothing twice.

local text = described(argument.run)
if not text then return nil end
local key = base .. ':run:' .. argument.run
local order, steps = cjson.decode(redis.call('GET', key .. ':order')), {}
for first = 1, #order, SLICE do
  local slice = redis.call('HMGET', key .. ':steps', unpack(order, first, math.min(first + SLICE - 1, #order)))
  for _, step in ipairs(slice) do steps[#steps + 1] = step end
end
local last = redis.call('XREVRANGE', key .. ':events', '+', '-', 'COUNT', 1)[1]
return '{"run":' .. text .. ',"steps":[' .. table.concat(steps, ',') .. '],"last":"' .. (last and last[1] or '0-0') .. '"}'
