-- Starts a check of an agent's assignments, some of which may be past their deadline.
-- Guarantee: an agent that holds anything is checked again, even if the caller dies.
-- ARGV   1 agent_id, 2 time of the next check in ms, unless a deadline is sooner
-- Returns how many it holds
local held = redis.call('HLEN', 'agent:' .. ARGV[1] .. ':inflight')
if held == 0 then
  redis.call('ZREM', 'agents:deadlines', ARGV[1])
else
  redis.call('ZADD', 'agents:deadlines', ARGV[2], ARGV[1])
end
return { held }
