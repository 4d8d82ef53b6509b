-- Marks a silent agent stale, and leaves its assignments to be requeued.
-- Guarantee: an agent with a heartbeat after the limit is unchanged; so are all while heartbeats may be missing.
-- KEYS   1 the notice channel
-- ARGV   1 agent_id, 2 limit in ms: the latest last heartbeat of a stale agent, 3 now in ms
-- Returns 'stale' or 'alive'
local id = ARGV[1]
local last = redis.call('ZSCORE', 'agents:heartbeats', id)
if not mark or not last or tonumber(last) > tonumber(ARGV[2]) then
  return { 'alive' }
end
-- The hash of a silent agent may have been quarantined.
if redis.call('EXISTS', 'agent:' .. id) == 1 then
  redis.call('HSET', 'agent:' .. id, 'status', 'stale', 'health_score', '0.000')
end
redis.call('SREM', 'agents:active', id)
redis.call('ZREM', 'agents:heartbeats', id)
redis.call('ZADD', 'agents:gone', 'GT', ARGV[3], id)
notify('"changed":["' .. id .. '"]')
return { 'stale' }
