-- Marks an agent with delivery push as unreached: it is assigned nothing until it is reached again.
-- KEYS   1 the notice channel
-- ARGV   1 agent_id, 2 the reason, one sentence
-- Returns nothing
local id, agent = ARGV[1], 'agent:' .. ARGV[1]
local seen = redis.call('HMGET', agent, 'delivery', 'unreached')
if seen[1] == 'push' and seen[2] ~= ARGV[2] then
  redis.call('HSET', agent, 'unreached', ARGV[2])
  notify('"changed":["' .. id .. '"]')
end
return {}
