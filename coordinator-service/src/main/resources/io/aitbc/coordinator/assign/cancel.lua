-- Cancels a task, whether it is waiting or assigned.
-- Guarantee: fails while agents' assignments are unknown; an ended task is unchanged; a cancelled one is never assigned, and its results
--        are ignored.
-- KEYS   1 the notice channel
-- ARGV   1 task_id, 2 now as ISO 8601, 3 retention in s
-- Returns its previous status ('unknown' if there is no such task), its attempt, the agent that has or had it, or '', and 1 if that
--        agent has no topic of its own, else 0
if redis.call('EXISTS', 'index:complete') == 0 then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
local task_id = ARGV[1]
local task, seen = load_task(task_id)
local status, attempt, agent_id = seen[1], tonumber(seen[2]) or 0, seen[3] or ''
if not status then
  return { 'unknown', 0, '', 0 }
end
if status == 'queued' or status == 'assigned' then
  redis.call('HSET', task, 'status', 'cancelled', 'finished_at', ARGV[2])
  local key = redis.call('HGET', task, 'fairness_key')
  if key then
    redis.call('ZREM', 'waiting:' .. key, task_id)
  end
  redis.call('EXPIRE', task, ARGV[3])
  redis.call('HINCRBY', 'stats:tasks', 'cancelled', 1)
  local held = ''
  if status == 'assigned' then
    redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', task_id)
    redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', 1)
    held = ',"held":{"' .. agent_id .. '":' .. redis.call('HLEN', 'agent:' .. agent_id .. ':inflight') .. '}'
  end
  redis.call('PUBLISH', KEYS[1], '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"cancelled":["' .. task_id .. '"]' .. held .. '}')
end
if status == 'failing' then
  -- Its dead letter is being written.
  status = 'failed'
end
return { status, attempt, agent_id, is_shared(redis.call('HGET', 'agent:' .. agent_id, 'delivery')) and 1 or 0 }
