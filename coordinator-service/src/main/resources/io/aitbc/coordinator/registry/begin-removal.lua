-- Decides that an agent's topic may be removed, and blocks its registration meanwhile.
-- Guarantee: refused while agents' assignments are unknown, and while the agent is registered, holds an unsettled assignment, or has attempts to be requeued.
-- ARGV   1 agent_id, 2 now in ms, 3 expiry of a removal in ms
-- Returns 'remove', 'not yet', or 'not at all' if it is no longer a deregistered agent
if not mark then
  return { 'not yet' }
end
local id = ARGV[1]
local agent = 'agent:' .. id
if redis.call('HGET', agent, 'status') ~= 'inactive' then
  redis.call('ZREM', 'agents:departed', id)
  return { 'not at all' }
end
if redis.call('EXISTS', agent .. ':inflight') == 1 or redis.call('ZSCORE', 'agents:gone', id) then
  return { 'not yet' }
end
local since = tonumber(string.match(redis.call('HGET', agent, 'topic') or '', '^removing (%d+)$'))
if since and math.abs(tonumber(ARGV[2]) - since) < tonumber(ARGV[3]) then
  return { 'not yet' }
end
redis.call('HSET', agent, 'topic', 'removing ' .. ARGV[2])
return { 'remove' }
