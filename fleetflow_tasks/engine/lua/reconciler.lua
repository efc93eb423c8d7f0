#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- reconciler(worker, lease) -> 1 | 0
-- KEYS[1]  ff:reconciler  string  the worker that reconciles, with a TTL
-- Takes the lease if nobody has it, prolongs it if *worker* has it. Two at once would do no harm: each action checks the state.

local holder = redis.call('GET', base)
if holder and holder ~= argument.worker then return 0 end
redis.call('SET', base, argument.worker, 'PX', integer(argument.lease * 1000))
return 1
