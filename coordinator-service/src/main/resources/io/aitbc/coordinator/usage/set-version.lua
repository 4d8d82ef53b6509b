-- Sets the version of the definitions of limits that reservations must be based on, see reserve.lua: the id of the control topic, and the offset of the
-- last definition there. It is missing if there never was one.
-- Guarantee: a version is not replaced by an earlier one of the same topic.
-- KEYS   1 the notice channel, unused
-- ARGV   1 id of the control topic, 2 the version, or ''
-- Returns nothing
local topic, offset = string.match(redis.call('GET', 'limits:version') or '', '^(%S+) (%d+)$')
local newer = tonumber(string.match(ARGV[2], ' (%d+)$'))
if newer and (topic ~= ARGV[1] or tonumber(offset) < newer) then
  redis.call('SET', 'limits:version', ARGV[2])
elseif not newer and topic ~= ARGV[1] then
  redis.call('DEL', 'limits:version')
end
return {}
