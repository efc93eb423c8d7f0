#!lua flags=allow-oom
-- SPDX-License-Identifier: Apache-2.0
-- renew(claims: {{run, step, fence}, …}, lease) -> ["held" | "lost" | "cancelled", …] in the same order
-- Prolongs each lease by *lease* seconds from now, also one that is over, as long as its fence is the step's newest.
-- cancelled: still held, so that the worker can stop in peace, but it should: by hand, or since the run's time is over.
-- Called every 5 s by each worker, once per stage. Twice is as good as once.

local runs, verdicts = {}, {}
for i, claim in ipairs(argument.claims) do
  local id = claim[1]
  if runs[id] == nil then runs[id] = run_of(id) or false end
  local run = runs[id]
  if held(run, claim[2], claim[3]) then
    redis.call('ZADD', run.key .. ':leases', now + argument.lease, claim[2])
    verdicts[i] = stopping(run) and '"cancelled"' or '"held"'
  else
    verdicts[i] = '"lost"'
  end
end
return '[' .. table.concat(verdicts, ',') .. ']'
