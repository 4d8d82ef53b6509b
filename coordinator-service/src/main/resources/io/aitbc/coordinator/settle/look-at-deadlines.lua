-- Begins a look at what an agent holds, of which a deadline may have passed.
-- Guarantee: as long as it holds anything it is looked at again, so that whoever looks may die.
-- ARGV   1 agent_id, 2 when it is looked at again in ms, unless a deadline is sooner
-- Returns how many it holds
local held = redis.call('HLEN', 'agent:' .. ARGV[1] .. ':inflight')
if held == 0 then
  redis.call('ZREM', 'agents:deadlines', ARGV[1])
else
  redis.call('ZADD', 'agents:deadlines', ARGV[2], ARGV[1])
end
return { held }
