#!lua flags=no-writes
-- SPDX-License-Identifier: Apache-2.0
-- runs(ids or nil, limit, statuses or nil: {status: true}, actor or nil, since or nil) -> [run, …]
-- The named runs of this stage, or the newest *limit* of those with one of *statuses*, of *actor*, submitted since then; those that
-- are forgotten are left out.

local ids = argument.ids or redis.call('ZREVRANGEBYSCORE', base .. ':runs', '+inf', argument.since or '-inf')

local function wanted(id)
  if argument.ids then return true end
  local has = redis.call('HMGET', base .. ':run:' .. id, 'status', 'actor')
  return (not argument.statuses or argument.statuses[has[1]]) and (not argument.actor or argument.actor == has[2])
end

local found = {}
for _, id in ipairs(ids) do
  if #found == argument.limit then break end
  if wanted(id) then found[#found + 1] = described(id) end
end
return '[' .. table.concat(found, ',') .. ']'
