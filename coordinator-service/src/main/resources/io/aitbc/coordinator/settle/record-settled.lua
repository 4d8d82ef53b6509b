-- Records tasks whose results were settled before Redis was emptied: completed, or requeued after an unsuccessful attempt.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one. Changes nothing if Redis was emptied
--        again since the lock was acquired.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the lock's owner, 2 seconds after which a requeued task is forgotten again unless its record is read: it may have ended since;
--        then for each task nine:
--        task_id, attempt, agent_id or '' if requeued, priority, submitted_at, result or error as JSON or '', when it was settled as
--        ISO 8601, max_attempts, fairness key or ''
-- Returns how many were recorded
if redis.call('GET', 'index:rebuilding') ~= ARGV[1] then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the lock has expired')
end
local count, completed = 0, {}
for i = 3, #ARGV, 9 do
  local task, seen = load_task(ARGV[i])
  local attempt, agent_id, outcome = tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 5]
  if not seen[1] or seen[1] == 'queued' and (tonumber(seen[2]) or 0) <= attempt then
    redis.call('HSET', task, 'task_id', ARGV[i], 'attempt', attempt, 'priority', ARGV[i + 3], 'submitted_at', ARGV[i + 4],
      'max_attempts', ARGV[i + 7])
    if ARGV[i + 8] ~= '' and not seen[1] then
      redis.call('HSET', task, 'fairness_key', ARGV[i + 8])
    end
    if agent_id ~= '' then
      redis.call('HSET', task, 'status', 'completed', 'agent_id', agent_id, 'result', outcome, 'finished_at', ARGV[i + 6])
      completed[#completed + 1] = ARGV[i]
    else
      redis.call('HSET', task, 'status', 'queued', 'error', outcome)
      if not seen[1] then
        redis.call('HSET', task, 'unconfirmed', 1)
        redis.call('EXPIRE', task, ARGV[2])
      end
    end
    count = count + 1
  end
end
if #completed > 0 then
  redis.call('RPUSH', 'tasks:completed', redis.call('TIME')[1] .. ' ' .. table.concat(completed, ' '))
end
return { count }
