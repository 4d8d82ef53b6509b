-- Quarantines an unreadable key, or unreadable fields of a hash.
-- Guarantee: data that has changed since it was read is not quarantined.
-- KEYS   1 the notice channel, unused
-- ARGV   1 key, 2 'type' and a command that fails if the key is of the wrong type; 'text' and the text as read, with ? for what is not ASCII, as it may not
--        be valid UTF-8; or 'whole' or 'fields', then three
--        per field: its name, its value as read, and its replacement, or ''
-- Returns nothing
local key = ARGV[1]
if ARGV[2] == 'type' then
  redis.call(ARGV[3], key)
  return {}
elseif ARGV[2] == 'text' then
  if string.gsub(redis.call('GET', key) or '', '[\128-\255]+', '?') == ARGV[3] then
    quarantine(key, 'unreadable')
  end
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
    quarantine_field(key, ARGV[i], ARGV[i + 2] ~= '' and ARGV[i + 2])
  end
elseif 3 * #unchanged == #ARGV - 2 and redis.call('EXISTS', key) == 1 then
  quarantine(key, 'unreadable')
end
return {}
