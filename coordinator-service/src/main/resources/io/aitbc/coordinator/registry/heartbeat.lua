-- Takes note of a heartbeat, and registers the agent if the heartbeat says what the agent is.
-- Guarantee: the agent's hash, agents:active, agents:known, agents:heartbeats and agents:lost agree afterwards.
-- ARGV   1 agent_id, 2 now in ms, 3 now as ISO 8601, 4 status or '', 5 load_metrics as JSON or '', 6 load factor of health or '',
--        then field and value for each field of a registration, or nothing
-- Returns 'known', or 'unknown' when an agent that never registered, or was deregistered, sends no registration
local id, now_ms, now, status, metrics = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local agent = 'agent:' .. id
local registers = #ARGV > 6
local before = redis.call('HMGET', agent, 'status', 'registration_time', 'failure_share', 'failure_share_at')
local old_status = before[1]

if not registers and (not old_status or old_status == 'inactive') then
  return { 'unknown' }
end

if registers then
  redis.call('HSET', agent, unpack(ARGV, 7))
  redis.call('SADD', 'agents:known', id)
  if not before[2] then
    redis.call('HSET', agent, 'registration_time', now, 'load_metrics', '{}', 'health_score', '1.0')
  end
end
if status == '' then
  status = old_status
  if not status or status == 'inactive' or status == 'stale' then
    status = 'active'
  end
end
redis.call('HSET', agent, 'status', status, 'last_heartbeat', now)
if metrics ~= '' then
  local share = tonumber(before[3]) or 0
  if share > 0 then
    share = share * 0.5 ^ ((tonumber(now_ms) - tonumber(before[4])) / 60000)
  end
  redis.call('HSET', agent, 'load_metrics', metrics, 'health_score',
    string.format('%.3f', tonumber(ARGV[6]) * (1 - 0.4 * share)))
end

if status == 'active' then
  redis.call('SADD', 'agents:active', id)
else
  redis.call('SREM', 'agents:active', id)
end
if status == 'active' or status == 'busy' or status == 'maintenance' then
  redis.call('ZADD', 'agents:heartbeats', now_ms, id)
else
  redis.call('ZREM', 'agents:heartbeats', id)
  redis.call('SADD', 'agents:lost', id)
end
redis.call('PUBLISH', 'agent_events', '{"changed":["' .. id .. '"]}')
return { 'known' }
