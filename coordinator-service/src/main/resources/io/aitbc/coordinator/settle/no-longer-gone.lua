-- Notes that all that an agent held when it was lost has been given back.
-- Guarantee: one that has been lost again since stays to be looked at.
-- ARGV   1 agent_id, 2 when it was lost in ms
-- Returns 1 if it is noted, else 0
if tonumber(redis.call('ZSCORE', 'agents:gone', ARGV[1])) == tonumber(ARGV[2]) then
  return { redis.call('ZREM', 'agents:gone', ARGV[1]) }
end
return { 0 }
