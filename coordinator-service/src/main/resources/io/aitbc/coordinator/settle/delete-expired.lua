-- Deletes tasks whose retention has expired since they ended, by Redis's own clock.
-- Guarantee: a task that has not ended with that attempt stays, such as one that was redriven, or submitted again after it was forgotten.
-- ARGV   1 retention in s, 2 how many tasks to process at most
-- Returns how many it processed
local now_s = tonumber(redis.call('TIME')[1])
local until_s, most = now_s - tonumber(ARGV[1]), tonumber(ARGV[2])
local seen = 0
while seen < most do
  local oldest = redis.call('LINDEX', 'tasks:ended', 0)
  local ended_s, ids = string.match(oldest or '', '^(%d+) (.*)$')
  if not oldest then
    break
  end
  if ended_s and tonumber(ended_s) > now_s + max_clock_error_ms / 1000 then
    -- No script writes such a time: reset it, so that the entries behind it are not kept forever.
    report('tasks:ended (' .. ended_s .. ')')
    redis.call('LSET', 'tasks:ended', 0, now_s .. ' ' .. ids)
    break
  end
  if ended_s and tonumber(ended_s) > until_s then
    break
  end
  local tasks = {}
  for id, attempt in string.gmatch(ids or '', '(%S+):(%d+)') do
    local letter, last = peek(id)
    if find('cfxe', letter or '?', 1, true) and last == tonumber(attempt) then
      tasks[#tasks + 1] = 'task:' .. id
    end
    seen = seen + 1
  end
  for from = 1, #tasks, max_batch do
    redis.call('UNLINK', unpack(tasks, from, math.min(#tasks, from + max_batch - 1)))
  end
  redis.call('LPOP', 'tasks:ended')
  seen = seen + 1
end
return { seen }
