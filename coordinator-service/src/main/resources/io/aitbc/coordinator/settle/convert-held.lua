-- Replaces entries of an agent's in-flight hash that version 0.1 has written.
-- Guarantee: changes nothing if Redis was emptied since the lock was acquired, or the lock has expired; an entry that has changed since it was read stays.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the lock's owner, 2 the hash, then for each entry three: task_id, the entry as read, and its replacement
-- Returns nothing
if redis.call('GET', 'index:rebuilding') ~= ARGV[1] then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the lock has expired')
end
for i, task_id in ipairs(column(ARGV, 3, 3)) do
  if redis.call('HGET', ARGV[2], task_id) == ARGV[3 * i + 1] then
    redis.call('HSET', ARGV[2], task_id, ARGV[3 * i + 2])
  end
end
return {}
