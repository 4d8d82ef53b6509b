-- Makes waiting tasks visible.
-- Guarantee: of a task of which something is known, at most what it waits for is changed, and only while it waits.
-- ARGV   for each task eight: task_id, attempt, priority, submitted_at, max_attempts, then what it waits for, each as text or '':
--        requirements as JSON, not_before, expires_at
-- Returns for each task 1 if it has ended, as one that was cancelled before its record was read, else 0
local answer = {}
local ended = { completed = true, failed = true, cancelled = true, expired = true }
local waits_for = { requirements = 5, not_before = 6, expires_at = 7 }
for i = 1, #ARGV, 8 do
  local task = 'task:' .. ARGV[i]
  local status = redis.call('HGET', task, 'status')
  if not status then
    redis.call('HSET', task, 'task_id', ARGV[i], 'status', 'queued', 'attempt', ARGV[i + 1], 'priority', ARGV[i + 2],
      'submitted_at', ARGV[i + 3], 'max_attempts', ARGV[i + 4])
  end
  answer[#answer + 1] = ended[status] and tonumber(redis.call('HGET', task, 'attempt')) >= tonumber(ARGV[i + 1]) and 1 or 0
  if status == 'queued' or not status and (ARGV[i + 5] ~= '' or ARGV[i + 6] ~= '' or ARGV[i + 7] ~= '') then
    for field, at in pairs(waits_for) do
      if ARGV[i + at] ~= '' then
        redis.call('HSET', task, field, ARGV[i + at])
      elseif status then
        redis.call('HDEL', task, field)
      end
    end
  end
end
return answer
