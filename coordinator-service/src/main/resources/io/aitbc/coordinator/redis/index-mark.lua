-- Reads whether the index is complete, and verified for this run of Redis.
-- KEYS   1 the notice channel, unused
-- ARGV   1 1 to note in index:written how recent the data are, in ms by Redis's own clock: what a failover has lost was written later; else ''
-- Returns the mark, or ''
if mark and ARGV[1] == '1' then
  local time = call('TIME')
  redis.call('SET', 'index:written', digits(time[1] * 1000 + math.floor(time[2] / 1000)))
end
return { mark or '' }
