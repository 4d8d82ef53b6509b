-- Quarantines values of the wrong type among the global keys, and takes all quarantine reports.
-- Guarantee: each report is returned once, to one caller.
-- KEYS   1 the notice channel, unused
-- Returns the reports: each names the quarantined key or field, and its content or type
local kinds = {
  ['agents:active'] = 'set', ['agents:known'] = 'set', ['agents:push'] = 'set', ['agents:heartbeats'] = 'zset', ['agents:gone'] = 'zset',
  ['agents:deadlines'] = 'zset', ['agents:departed'] = 'zset', ['agents:events'] = 'string', ['tasks:ended'] = 'list',
  ['stats:tasks'] = 'hash', ['stats:agents'] = 'hash', ['stats:coordinators'] = 'hash', ['stats:alive'] = 'hash', ['stats:ends'] = 'hash', ['index:rebuilding'] = 'string', ['limits:known'] = 'set', ['resources:known'] = 'set', ['limits:version'] = 'string',
}
local max_members = 100
local now_ms = tonumber(redis.call('TIME')[1]) * 1000

for key, kind in pairs(kinds) do
  local found = redis.call('TYPE', key).ok
  if found ~= kind and found ~= 'none' then
    quarantine(key)
  elseif found == 'zset' then
    local ahead = redis.call('ZRANGEBYSCORE', key, '(' .. string.format('%.0f', now_ms + max_clock_error_ms), '+inf', 'LIMIT', 0, max_members)
    for _, member in ipairs(ahead) do
      report(key .. ' ' .. member .. ' (' .. redis.call('ZSCORE', key, member) .. ')')
      redis.call('ZADD', key, string.format('%.0f', now_ms), member)
    end
  end
end
for _, key in ipairs({ 'stats:tasks', 'stats:agents' }) do
  local fields = redis.call('HGETALL', key)
  for i = 1, #fields, 2 do
    if not string.match(fields[i + 1], '^%-?%d+$') then
      quarantine_field(key, fields[i])
    end
  end
end
if not string.match(redis.call('GET', 'agents:events') or '0', '^%-?%d+$') then
  quarantine('agents:events', 'not a number')
end
-- Its writer always sets an expiry.
if redis.call('TTL', 'index:rebuilding') == -1 then
  quarantine('index:rebuilding', 'does not expire')
end

local reports = redis.call('LRANGE', 'spoilt:log', 0, -1)
if #reports > 0 then
  redis.call('UNLINK', 'spoilt:log')
end
return reports
