-- Prepended to every script but those that convert keys, after guard.lua: they fail if the keys are in another format.

-- Since when the index is complete, in ms, after the format of all keys, and before the replication id for which it was verified. Nothing while it is not
-- complete, or may lack the last writes.
local mark = redis.call('GET', 'index:complete')
if mark and sub(mark, 1, 2) ~= '2 ' then
  return redis.error_reply('FORMAT ' .. (string.match(mark, '^%d%d?%d? ') and 'Redis holds the data of a newer version of the coordinator, which this one cannot read'
    or 'the data of version 0.1 are being converted'))
elseif mark and string.match(mark, '%S+$') ~= replication_id() then
  mark = nil
end
