-- Releases claims of submitted tasks.
-- Guarantee: a claim that has expired, and is another submitter's by now, stays.
-- ARGV   1 the holder, then the ids
-- Returns nothing
for i = 2, #ARGV do
  local claim = 'submission:' .. ARGV[i]
  if redis.call('GET', claim) == ARGV[1] then
    redis.call('DEL', claim)
  end
end
return {}
