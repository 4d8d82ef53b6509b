-- Counts the tasks of a fairness key that have never been assigned.
-- Guarantee: at the limit, entries left behind by tasks that wait no longer are removed first, oldest first.
-- ARGV   1 the fairness key, 2 the limit
-- Returns their number
local waiting = 'waiting:' .. ARGV[1]
local count = redis.call('ZCARD', waiting)
if count >= tonumber(ARGV[2]) then
  for _, task_id in ipairs(redis.call('ZRANGE', waiting, 0, 199)) do
    local _, seen = load_task(task_id)
    if seen[1] ~= 'queued' then
      redis.call('ZREM', waiting, task_id)
      count = count - 1
    end
  end
end
return { count }
