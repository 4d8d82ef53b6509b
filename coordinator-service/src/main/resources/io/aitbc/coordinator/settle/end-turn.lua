-- Ends a turn of rebuilding the index.
-- Guarantee: only the holder of the turn can set the mark.
-- KEYS   1 the channel of notices, not used
-- ARGV   1 the turn's id, 2 now as ISO 8601 if the index is complete, else ''
-- Returns nothing; fails if the index was to be marked complete but the turn is lost
if redis.call('GET', 'index:rebuilding') == ARGV[1] then
  redis.call('DEL', 'index:rebuilding')
  if ARGV[2] ~= '' then
    redis.call('SET', 'index:complete', ARGV[2])
  end
elseif ARGV[2] ~= '' then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the turn has expired')
end
return {}
