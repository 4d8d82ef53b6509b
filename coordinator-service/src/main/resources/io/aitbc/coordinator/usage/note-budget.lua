-- Raises what may be spent of a budget, after that was noted in Kafka.
-- Guarantee: if Redis does not know what was spent in the period, it is as much as was noted before. Changes nothing if another note was requested since:
--        the caller may not have read all that precedes it.
-- KEYS   1 the notice channel
-- ARGV   1 name of the limit, 2 period, 3 units noted before in this period, 4 units noted now, 5 the request, see reserve.lua
-- Returns nothing
if redis.call('GET', 'limits:noting:' .. ARGV[1]) ~= ARGV[5] then
  return {}
end
redis.call('DEL', 'limits:noting:' .. ARGV[1])
local limit = load_limit(ARGV[1])
if limit.period == ARGV[2] then
  limit.noted = math.max(limit.noted, tonumber(ARGV[4]))
elseif #limit.period ~= #ARGV[2] or limit.period < ARGV[2] then
  limit.period, limit.spent, limit.noted = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
end
limit.changed = true
notify('"held":{}' .. limits_member(save_limits()))
return {}
