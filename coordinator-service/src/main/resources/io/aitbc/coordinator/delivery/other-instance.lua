-- Checks whether an agent is used by another of its instances.
-- KEYS   1 the notice channel, unused
-- ARGV   1 agent_id, 2 instance_id, 3 now in ms
-- Returns 1 if another instance has an open claim, or was served an assignment whose attempt is live; else 0
local agent_id, instance, now_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local entries = redis.call('HGETALL', 'claims:' .. agent_id)
for i = 1, #entries, 2 do
  if entries[i] ~= instance and number(string.match(entries[i + 1], ' (%d+)$'), 0) >= now_ms then
    return { 1 }
  end
end
entries = redis.call('HGETALL', 'served:' .. agent_id)
for i = 1, #entries, 2 do
  local attempt, by = string.match(entries[i + 1], '^(%d+) %d+ %d+ (%S+)$')
  if attempt and by ~= instance then
    if parse_held(redis.call('HGET', 'agent:' .. agent_id .. ':inflight', entries[i])) == attempt then
      return { 1 }
    end
  end
end
return { 0 }
