-- Notes that an agent's topic has been removed: the agent is listed no more, and its hash goes some time later.
-- ARGV   1 agent_id, 2 when the removal began in ms, 3 for how many seconds the hash is kept
-- Returns 'removed', or 'came back' when the agent has registered since
local id = ARGV[1]
local agent = 'agent:' .. id
if redis.call('HGET', agent, 'topic') ~= 'removing ' .. ARGV[2] then
  return { 'came back' }
end
redis.call('HDEL', agent, 'topic')
redis.call('EXPIRE', agent, ARGV[3])
redis.call('SREM', 'agents:known', id)
redis.call('ZREM', 'agents:departed', id)
return { 'removed' }
