-- Makes a silent agent stale, and leaves what it holds to be given back.
-- Guarantee: an agent that spoke after the limit is left as it is.
-- ARGV   1 agent_id, 2 limit in ms: the latest last heartbeat of a stale agent
-- Returns 'stale' or 'alive'
local id = ARGV[1]
local last = redis.call('ZSCORE', 'agents:heartbeats', id)
if not last or tonumber(last) > tonumber(ARGV[2]) then
  return { 'alive' }
end
redis.call('HSET', 'agent:' .. id, 'status', 'stale', 'health_score', '0.000')
redis.call('SREM', 'agents:active', id)
redis.call('ZREM', 'agents:heartbeats', id)
redis.call('SADD', 'agents:lost', id)
redis.call('PUBLISH', 'agent_events', '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"changed":["' .. id .. '"]}')
return { 'stale' }
