-- Ends waiting tasks whose records are gone, as failed.
-- Guarantee: changes only a task that waits, and whose newest record is the one that is gone.
-- KEYS   1 the notice channel, unused
-- ARGV   1 now as ISO 8601, 2 retention in s, then for each task three: task_id, position of its record, error as JSON
-- Returns how many were ended
local count = 0
for i = 3, #ARGV, 3 do
  local task, seen = load_task(ARGV[i], 'position', 'fairness_key')
  if seen[1] == 'queued' and seen[4] == ARGV[i + 1] then
    redis.call('HSET', task, 'status', 'failed', 'finished_at', ARGV[1], 'error', ARGV[i + 2])
    redis.call('EXPIRE', task, ARGV[2])
    if seen[5] then
      redis.call('ZREM', 'waiting:' .. seen[5], ARGV[i])
    end
    count = count + 1
  end
end
if count > 0 then
  redis.call('HINCRBY', 'stats:tasks', 'failed', count)
end
return { count }
