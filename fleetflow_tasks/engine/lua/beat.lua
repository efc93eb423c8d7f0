#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- beat(worker, info, queues, keep) -> 1
-- KEYS[1]  ff:workers       zset  worker -> when it was last seen
--          ff:workers:info  hash  worker -> what it says of itself, JSON
--          ff:workers:queues hash queue -> when a worker of it was last seen
-- info nil: the worker leaves. Workers silent for *keep* seconds are forgotten. Called every 5 s by each worker.

if argument.info then
  redis.call('ZADD', base, now, argument.worker)
  redis.call('HSET', base .. ':info', argument.worker, argument.info)
else
  redis.call('ZREM', base, argument.worker)
  redis.call('HDEL', base .. ':info', argument.worker)
end
for _, queue in ipairs(argument.queues) do redis.call('HSET', base .. ':queues', queue, seconds(now)) end
for _, silent in ipairs(redis.call('ZRANGEBYSCORE', base, '-inf', seconds(now - argument.keep), 'LIMIT', 0, 100)) do
  redis.call('ZREM', base, silent)
  redis.call('HDEL', base .. ':info', silent)
end
return 1
