-- Makes waiting tasks visible.
-- Guarantee: a task of which anything is known is left as it is.
-- ARGV   for each task five: task_id, attempt, priority, submitted_at, max_attempts
-- Returns an empty list
for i = 1, #ARGV, 5 do
  local task = 'task:' .. ARGV[i]
  if redis.call('EXISTS', task) == 0 then
    redis.call('HSET', task, 'task_id', ARGV[i], 'status', 'queued', 'attempt', ARGV[i + 1], 'priority', ARGV[i + 2],
      'submitted_at', ARGV[i + 3], 'max_attempts', ARGV[i + 4])
  end
end
return {}
