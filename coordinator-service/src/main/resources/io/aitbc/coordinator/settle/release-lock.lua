-- Releases the lock for rebuilding the index.
-- Guarantee: only the owner of the lock can set the mark.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the lock's owner, 2 now in ms if the index is complete, else ''
-- Returns nothing; fails if the index was to be marked complete but the lock is lost
local is_valid = holds_rebuild_lock(ARGV[1])
if redis.call('GET', 'index:rebuilding') == ARGV[1] then
  redis.call('DEL', 'index:rebuilding')
  if is_valid and ARGV[2] ~= '' then
    redis.call('SET', 'index:complete', '2 ' .. ARGV[2] .. ' ' .. replication_id())
    -- Notices may be lost with their numbers. A gap makes all subscribers read what they follow again.
    redis.call('SET', 'agents:events', string.format('%.0f', number(redis.call('GET', 'agents:events'), 0) + 1000000))
    -- Grants of the last moment may be lost: as much of a budget is spent as was noted, and the bucket of a rate is empty.
    for _, name in ipairs(redis.call('SMEMBERS', 'limits:known')) do
      redis.call('HDEL', 'limit:' .. name, 'full_at', 'period', 'spent', 'noted')
    end
    -- By Redis's own clock, which rates go by.
    redis.call('SET', 'limits:since', call('TIME')[1] .. '000')
  end
end
if not is_valid and ARGV[2] ~= '' then
  return redis.error_reply('SUPERSEDED Redis was emptied or replaced again, or the lock has expired')
end
return {}
