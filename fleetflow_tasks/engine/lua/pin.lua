#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- pin(queue, identity) -> the engine that is kept
-- Which engine *queue* of this stage goes to: *identity*, if none is kept since the last run that adopted. Twice is as good as
-- once. Called before a step is carried out, so that a full Redis must not stand in its way.

redis.call('HSETNX', base .. ':stage', 'engine:' .. argument.queue, argument.identity)
return redis.call('HGET', base .. ':stage', 'engine:' .. argument.queue)
