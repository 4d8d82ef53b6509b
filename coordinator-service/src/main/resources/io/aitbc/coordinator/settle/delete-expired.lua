-- Deletes tasks whose retention after completion has expired, by Redis's own clock.
-- Guarantee: a task that is not completed stays, such as one submitted again after its hash was deleted.
-- ARGV   1 retention in s, 2 how many tasks to process at most
-- Returns how many it processed
local now_s = tonumber(redis.call('TIME')[1])
local until_s, most = now_s - tonumber(ARGV[1]), tonumber(ARGV[2])
local max_batch = 1000
local seen = 0
while seen < most do
  local oldest = redis.call('LINDEX', 'tasks:completed', 0)
  local completed_s, ids = string.match(oldest or '', '^(%d+) (.*)$')
  if not oldest then
    break
  end
  if completed_s and tonumber(completed_s) > now_s + max_clock_error_ms / 1000 then
    -- No script writes such a time: reset it, so that the entries behind it are not kept forever.
    report('tasks:completed (' .. completed_s .. ')')
    redis.call('LSET', 'tasks:completed', 0, now_s .. ' ' .. ids)
    break
  end
  if completed_s and tonumber(completed_s) > until_s then
    break
  end
  local tasks = {}
  for id in string.gmatch(ids or '', '%S+') do
    -- A manually replaced key may not be a hash.
    if redis.pcall('HGET', 'task:' .. id, 'status') == 'completed' then
      tasks[#tasks + 1] = 'task:' .. id
    end
    seen = seen + 1
  end
  for from = 1, #tasks, max_batch do
    redis.call('UNLINK', unpack(tasks, from, math.min(#tasks, from + max_batch - 1)))
  end
  redis.call('LPOP', 'tasks:completed')
  seen = seen + 1
end
return { seen }
