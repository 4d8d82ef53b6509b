-- Counts the tasks of a fairness key that have never been assigned.
-- Guarantee: at the limit, entries left behind by tasks that wait no longer are removed first, oldest first.
-- ARGV   1 the fairness key, 2 the limit
-- Returns their number
local waiting = 'waiting:' .. ARGV[1]
local count = redis.call('ZCARD', waiting)
if count >= tonumber(ARGV[2]) then
  local ids = redis.call('ZRANGE', waiting, 0, 199)
  local texts = load_texts(ids)
  for i, task_id in ipairs(ids) do
    local task = known(task_id, texts[i])
    if not task or task.status ~= 'queued' then
      redis.call('ZREM', waiting, task_id)
      count = count - 1
    end
  end
end
return { count }
