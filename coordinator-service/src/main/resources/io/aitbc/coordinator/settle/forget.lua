-- Forgets tasks that were completed long enough ago.
-- Guarantee: a task that is not completed, as one of the same id that came later, stays.
-- ARGV   1 now in ms, 2 after how many tasks to stop
-- Returns how many it was
local now_ms, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local most_at_once = 1000
local forgotten = 0
while forgotten < most do
  local oldest = redis.call('LINDEX', 'tasks:completed', 0)
  local from_ms, ids = string.match(oldest or '', '^(%d+) (.*)$')
  if not oldest or from_ms and tonumber(from_ms) > now_ms then
    break
  end
  local tasks = {}
  for id in string.gmatch(ids or '', '%S+') do
    if redis.call('HGET', 'task:' .. id, 'status') == 'completed' then
      tasks[#tasks + 1] = 'task:' .. id
    end
  end
  for from = 1, #tasks, most_at_once do
    redis.call('UNLINK', unpack(tasks, from, math.min(#tasks, from + most_at_once - 1)))
  end
  redis.call('LPOP', 'tasks:completed')
  forgotten = forgotten + #tasks
end
return { forgotten }
