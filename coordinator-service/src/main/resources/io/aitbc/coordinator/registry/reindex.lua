-- Reconciles the sets of agents with their hashes, after one of the sets was quarantined.
-- Guarantee: other members of the sets stay.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, then agent ids
-- Returns nothing
local sends_heartbeats = { active = true, busy = true, maintenance = true }
local changed = {}
for i = 2, #ARGV do
  local id = ARGV[i]
  local seen = redis.call('HMGET', 'agent:' .. id, 'status', 'heard_ms', 'topic', 'delivery')
  local status = seen[1]
  local holds = redis.call('EXISTS', 'agent:' .. id .. ':inflight') == 1
  if status and (status ~= 'inactive' or seen[3]) then
    redis.call('SADD', 'agents:known', id)
    redis.call(seen[4] == 'push' and 'SADD' or 'SREM', 'agents:push', id)
    redis.call(status == 'active' and 'SADD' or 'SREM', 'agents:active', id)
    if sends_heartbeats[status] then
      redis.call('ZADD', 'agents:heartbeats', 'NX', string.format('%.0f', number(seen[2], tonumber(ARGV[1]))), id)
    elseif holds then
      redis.call('ZADD', 'agents:gone', 'NX', ARGV[1], id)
    end
    if status == 'inactive' then
      redis.call('ZADD', 'agents:departed', 'NX', ARGV[1], id)
    end
    changed[#changed + 1] = '"' .. id .. '"'
  end
  if holds then
    redis.call('ZADD', 'agents:deadlines', 'LT', ARGV[1], id)
  end
end
if #changed > 0 then
  notify('"changed":[' .. table.concat(changed, ',') .. ']')
end
return {}
