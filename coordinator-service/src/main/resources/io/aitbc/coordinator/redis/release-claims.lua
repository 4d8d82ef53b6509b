-- Releases exclusive claims.
-- Guarantee: a claim that has expired, and is another holder's by now, stays.
-- ARGV   1 the holder, then the keys
-- Returns nothing
for i = 2, #ARGV do
  if redis.call('GET', ARGV[i]) == ARGV[1] then
    redis.call('DEL', ARGV[i])
  end
end
return {}
