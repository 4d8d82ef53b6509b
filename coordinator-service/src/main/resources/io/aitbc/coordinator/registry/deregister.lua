-- Takes an agent out of service until it registers again. Its hash stays, as inactive; its assignments are left to be requeued.
-- Guarantee: of several concurrent callers, exactly one gets 'deregistered'.
-- KEYS   1 the notice channel
-- ARGV   1 agent_id, 2 now in ms
-- Returns 'deregistered', 'before' if it was already, or 'unknown' if no such agent ever registered
local id = ARGV[1]
local agent = 'agent:' .. id
if redis.call('EXISTS', agent) == 0 then
  return { 'unknown' }
end
local seen = redis.call('HMGET', agent, 'status', 'said_inactive')
if seen[1] == 'inactive' and not seen[2] then
  return { 'before' }
end
-- The later of the two clocks: a heartbeat sent earlier must not bring it back.
local heard_ms = redis.call('HGET', agent, 'heard_ms')
local heard = number(heard_ms, 0)
if heard < tonumber(ARGV[2]) or heard > tonumber(ARGV[2]) + max_clock_error_ms then
  heard_ms = ARGV[2]
end
redis.call('HSET', agent, 'status', 'inactive', 'health_score', '0.000', 'heard_ms', heard_ms)
redis.call('HDEL', agent, 'said_inactive', 'unreached')
redis.call('SREM', 'agents:unreached', id)
redis.call('SREM', 'agents:active', id)
redis.call('ZREM', 'agents:heartbeats', id)
redis.call('ZADD', 'agents:gone', 'GT', ARGV[2], id)
redis.call('ZADD', 'agents:departed', 'NX', ARGV[2], id)
notify('"changed":["' .. id .. '"]')
return { 'deregistered' }
