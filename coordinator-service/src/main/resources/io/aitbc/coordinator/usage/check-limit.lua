-- Looks for attempts that are counted as holders of a limit though they are not live: a record or an entry that was corrupt may have been set aside.
-- Guarantee: what no live attempt holds is not counted any more.
-- KEYS   1 the notice channel
-- ARGV   1 name of the limit, then ids of tasks that hold it; without any, what the rest holds is counted again
-- Returns how many did not hold it
local name, freed = ARGV[1], 0
for i = 2, #ARGV do
  local letter = peek(ARGV[i])
  if letter ~= 'a' and letter ~= 'g' and redis.call('HDEL', 'held:' .. name, ARGV[i]) == 1 then
    freed = freed + 1
  end
end
if #ARGV == 1 then
  local limit, used = load_limit(name), count_held(name)
  if not limit.is_known and used == 0 then
    redis.call('SREM', known_key(name), name)
  elseif used ~= limit.used or not limit.is_known then
    limit.used, limit.changed = used, true
    notify('"held":{}' .. limits_member(save_limits()))
  end
end
return { freed }
