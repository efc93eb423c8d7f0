#!lua flags=no-writes
-- SPDX-License-Identifier: Apache-2.0
-- runs(ids or nil, limit) -> [run, …]
-- The named runs of this stage, or its newest *limit*; those that are forgotten are left out.

local ids = argument.ids or redis.call('ZREVRANGE', base .. ':runs', 0, argument.limit - 1)
local found = {}
for _, id in ipairs(ids) do found[#found + 1] = described(id) end
return '[' .. table.concat(found, ',') .. ']'
