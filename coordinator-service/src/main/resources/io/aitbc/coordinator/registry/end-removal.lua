-- Records that an agent's topic has been removed: the agent is no longer listed, and its hash expires later.
-- ARGV   1 agent_id, 2 when the removal began in ms, 3 expiry of the hash in s
-- Returns 'removed', or 'came back' if the agent has registered since
local id = ARGV[1]
local agent = 'agent:' .. id
if redis.call('HGET', agent, 'topic') ~= 'removing ' .. ARGV[2] then
  return { 'came back' }
end
redis.call('HDEL', agent, 'topic')
redis.call('EXPIRE', agent, ARGV[3])
redis.call('SREM', 'agents:known', id)
redis.call('SREM', 'agents:push', id)
redis.call('ZREM', 'agents:departed', id)
return { 'removed' }
