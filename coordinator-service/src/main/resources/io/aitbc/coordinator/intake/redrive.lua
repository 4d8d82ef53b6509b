-- Requeues a permanently failed task.
-- Guarantee: a task is redriven once per failure; repeated before it is assigned, the answer is the same.
-- KEYS   1 the notice channel
-- ARGV   1 task_id, 2 the attempt that failed last, 3 priority, 4 submitted_at, 5 the number of further attempts, 6 fairness key or ''
-- Returns its previous status ('unknown' if it has been forgotten), and its next attempt, 0 if it cannot be redriven
local task, seen = load_task(ARGV[1], 'redriven')
local status, attempt = seen[1] or 'unknown', tonumber(seen[2]) or tonumber(ARGV[2])
if status == 'queued' and tonumber(seen[4]) == attempt then
  return { status, attempt }
end
-- The dead letter exists, so the task has failed, even if its writer has not recorded that yet.
local failing = status == 'failing' and attempt == tonumber(ARGV[2])
if failing then
  local holder = redis.call('HGET', task, 'agent_id')
  redis.call('HDEL', 'agent:' .. holder .. ':inflight', ARGV[1])
  redis.call('PUBLISH', KEYS[1],
    '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"held":{"' .. holder .. '":' .. redis.call('HLEN', 'agent:' .. holder .. ':inflight') .. '}}')
elseif status ~= 'failed' and status ~= 'unknown' then
  return { status, 0 }
end
local next_attempt = attempt + 1
redis.call('HSET', task, 'task_id', ARGV[1], 'status', 'queued', 'attempt', next_attempt, 'redriven', next_attempt,
  'priority', ARGV[3], 'submitted_at', ARGV[4], 'max_attempts', attempt + tonumber(ARGV[5]))
if ARGV[6] ~= '' and not seen[1] then
  redis.call('HSET', task, 'fairness_key', ARGV[6])
end
redis.call('HDEL', task, 'finished_at', 'agent_id', 'assigned_at', 'assigned_ms', 'deadline', 'progress', 'progress_at', 'position')
redis.call('PERSIST', task)
if failing then
  status = 'failed'
  redis.call('HINCRBY', 'stats:tasks', 'redriven', 1)
elseif status == 'failed' then
  redis.call('HINCRBY', 'stats:tasks', 'failed', -1)
  redis.call('HINCRBY', 'stats:tasks', 'redriven', 1)
end
return { status, next_attempt }
