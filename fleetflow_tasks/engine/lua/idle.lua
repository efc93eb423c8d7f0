#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- idle(stage, before) -> 1
-- KEYS[1]  ff:active  zset  project/stage -> when something was last submitted to it
-- Strikes a stage out that had nothing to do, unless something was submitted after *before*: a submit writes here, before it
-- stores its run and once more as it does.

local last = redis.call('ZSCORE', base, argument.stage)
if last and tonumber(last) <= argument.before then redis.call('ZREM', base, argument.stage) end
return 1
