-- Records tasks as completed whose results were settled before Redis was emptied.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one. Changes nothing if Redis was emptied
--        again since the lock was acquired.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the lock's owner, then for each task eight:
--        task_id, attempt, agent_id, priority, submitted_at, result as JSON or '', when it was settled as ISO 8601,
--        fairness key or ''
-- Returns how many were recorded
if redis.call('GET', 'index:rebuilding') ~= ARGV[1] then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the lock has expired')
end
local recorded = {}
for i = 2, #ARGV, 8 do
  local task, seen = load_task(ARGV[i])
  if not seen[1] or seen[1] == 'queued' and (tonumber(seen[2]) or 0) <= tonumber(ARGV[i + 1]) then
    redis.call('HSET', task, 'task_id', ARGV[i], 'status', 'completed', 'attempt', ARGV[i + 1], 'agent_id', ARGV[i + 2],
      'priority', ARGV[i + 3], 'submitted_at', ARGV[i + 4], 'result', ARGV[i + 5], 'finished_at', ARGV[i + 6])
    if ARGV[i + 7] ~= '' and not seen[1] then
      redis.call('HSET', task, 'fairness_key', ARGV[i + 7])
    end
    recorded[#recorded + 1] = ARGV[i]
  end
end
if #recorded > 0 then
  redis.call('RPUSH', 'tasks:completed', redis.call('TIME')[1] .. ' ' .. table.concat(recorded, ' '))
end
return { #recorded }
