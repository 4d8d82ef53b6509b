-- Sets a key aside, or some fields of a hash, that cannot be read.
-- Guarantee: what has been changed since it was read stays.
-- KEYS   1 the channel of notices, not used
-- ARGV   1 key, 2 'type' if it is to be a hash and is none, 'whole' or 'fields', then for each field three: its name, its value as it was
--        read, and what takes its place, or ''
-- Returns nothing
local key = ARGV[1]
if ARGV[2] == 'type' then
  redis.call('HLEN', key)
  return {}
end
local unchanged = {}
for i = 3, #ARGV, 3 do
  if redis.call('HGET', key, ARGV[i]) == ARGV[i + 1] then
    unchanged[#unchanged + 1] = i
  end
end
if ARGV[2] == 'fields' then
  for _, i in ipairs(unchanged) do
    set_field_aside(key, ARGV[i], ARGV[i + 2] ~= '' and ARGV[i + 2])
  end
elseif 3 * #unchanged == #ARGV - 2 and redis.call('EXISTS', key) == 1 then
  set_aside(key, 'unreadable')
end
return {}
