-- Decides that an agent's topic may be removed, and keeps the agent from registering while it is.
-- Guarantee: it may not while the agent is registered, holds an unsettled assignment, or something of it is still to be given back.
-- ARGV   1 agent_id, 2 now in ms
-- Returns 'remove', 'not yet', or 'not at all' when it is no departed agent any more
local id = ARGV[1]
local agent = 'agent:' .. id
if redis.call('HGET', agent, 'status') ~= 'inactive' then
  redis.call('ZREM', 'agents:departed', id)
  return { 'not at all' }
end
if redis.call('EXISTS', agent .. ':inflight') == 1 or redis.call('SISMEMBER', 'agents:lost', id) == 1 then
  return { 'not yet' }
end
redis.call('HSET', agent, 'topic', 'removing ' .. ARGV[2])
return { 'remove' }
