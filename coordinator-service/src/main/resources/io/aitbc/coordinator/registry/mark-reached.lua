-- Marks agents as reached: the consumer group of an agent over Kafka has a member, or one with delivery push has answered.
-- KEYS   1 the notice channel
-- ARGV   agent ids
-- Returns the ids of those that were unreached
local reached, changed = {}, {}
for _, id in ipairs(ARGV) do
  redis.call('SREM', 'agents:unreached', id)
  if redis.call('HDEL', 'agent:' .. id, 'unreached') == 1 then
    reached[#reached + 1] = id
    changed[#changed + 1] = '"' .. id .. '"'
  end
end
if #changed > 0 then
  notify('"changed":[' .. table.concat(changed, ',') .. ']')
end
return reached
