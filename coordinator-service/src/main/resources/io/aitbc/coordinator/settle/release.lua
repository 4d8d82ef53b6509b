-- Ends an unsuccessful attempt: its task is requeued, or has failed permanently.
-- Guarantee: an attempt that is no longer live changes nothing; the agent's count is published all the same.
-- KEYS   1 the notice channel
-- ARGV   1 task_id, 2 attempt, 3 agent_id, 4 next attempt or 0, 5 error as JSON, 6 now as ISO 8601, 7 retention in s, 8 not_before of the next
--        attempt or ''
-- Returns 'released', or 'before' if the attempt was not live
local task_id, attempt, agent_id, next_attempt = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local task, seen = load_task(task_id)
local status = seen[1]
local live = (status == 'assigned' or status == 'failing' and next_attempt == 0)
  and tonumber(seen[2]) == attempt and seen[3] == agent_id
local answer = 'before'
if live or not status then
  if next_attempt > 0 then
    redis.call('HSET', task, 'task_id', task_id, 'status', 'queued', 'attempt', next_attempt, 'error', ARGV[5])
    if ARGV[8] and ARGV[8] ~= '' then
      redis.call('HSET', task, 'not_before', ARGV[8])
    end
    redis.call('HDEL', task, 'agent_id', 'assigned_at', 'assigned_ms', 'deadline', 'progress', 'progress_at', 'position')
    redis.call('HINCRBY', 'stats:tasks', 'retried', 1)
  else
    redis.call('HSET', task, 'task_id', task_id, 'status', 'failed', 'attempt', attempt, 'finished_at', ARGV[6], 'error', ARGV[5])
    redis.call('EXPIRE', task, ARGV[7])
    redis.call('HINCRBY', 'stats:tasks', 'failed', 1)
  end
  redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', task_id)
  redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', 1)
  answer = 'released'
end
redis.call('PUBLISH', KEYS[1],
  '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"held":{"' .. agent_id .. '":' .. redis.call('HLEN', 'agent:' .. agent_id .. ':inflight') .. '}}')
return { answer }
