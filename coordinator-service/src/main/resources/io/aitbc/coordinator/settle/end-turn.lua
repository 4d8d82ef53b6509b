-- Ends a turn of filling the index.
-- Guarantee: the mark is set only by whose turn it still is.
-- KEYS   1 the channel of notices, not used
-- ARGV   1 whose turn it is, 2 now as ISO 8601 if the index is complete, else ''
-- Returns nothing; fails if the index was to be complete and it is another's turn
if redis.call('GET', 'index:rebuilding') == ARGV[1] then
  redis.call('DEL', 'index:rebuilding')
  if ARGV[2] ~= '' then
    redis.call('SET', 'index:complete', ARGV[2])
  end
elseif ARGV[2] ~= '' then
  return redis.error_reply('SUPERSEDED Redis was emptied once more, or it took too long')
end
return {}
