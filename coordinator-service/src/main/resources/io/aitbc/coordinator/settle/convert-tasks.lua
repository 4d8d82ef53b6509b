-- Replaces hashes of version 0.1 by records.
-- Guarantee: changes nothing if Redis was emptied since the lock was acquired, or the lock has expired; what is a record already stays.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the lock's owner, then for each task three: task_id, its record, see record.lua, and '1' if it has ended, else ''
-- Returns how many were replaced
if redis.call('GET', 'index:rebuilding') ~= ARGV[1] then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the lock has expired')
end
local count, ended_ids = 0, {}
for i, task_id in ipairs(column(ARGV, 2, 3)) do
  local record = ARGV[3 * i]
  if redis.call('TYPE', 'task:' .. task_id).ok == 'hash' then
    call('SET', 'task:' .. task_id, record)
    count = count + 1
    if ARGV[3 * i + 1] == '1' then
      ended_ids[#ended_ids + 1] = task_id .. ':' .. attempt_in(record)
    end
  end
end
-- From now on: when they ended is not known by the clock of Redis.
note_ended(ended_ids)
return { count }
