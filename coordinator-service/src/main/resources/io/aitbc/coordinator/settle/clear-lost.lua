-- Records that all assignments held by an agent when it was lost have been requeued.
-- Guarantee: an agent that has been lost again since stays listed.
-- ARGV   1 agent_id, 2 when it was lost in ms
-- Returns 1 if it was recorded, else 0
if tonumber(redis.call('ZSCORE', 'agents:gone', ARGV[1])) == tonumber(ARGV[2]) then
  return { redis.call('ZREM', 'agents:gone', ARGV[1]) }
end
return { 0 }
