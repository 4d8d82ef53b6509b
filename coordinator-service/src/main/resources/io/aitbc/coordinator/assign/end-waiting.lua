-- Ends tasks that no agent has.
-- Guarantee: fails while agents' assignments are unknown; a live or ended task is unchanged; a task is counted once per clear command,
--        however often this is repeated.
-- KEYS   1 the notice channel
-- ARGV   1 new status, 2 id of the clear command or '', 3 now as ISO 8601, 4 retention in s, then for each task five:
--        task_id, attempt, priority, submitted_at, fairness key or ''
-- Returns for each task: 'ended' (now), 'before' (had ended already, or a later attempt exists), 'live' (an agent has this attempt)
if redis.call('EXISTS', 'index:complete') == 0 then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
local answer = {}
local count = 0
local held = {}
for i = 5, #ARGV, 5 do
  local attempt = tonumber(ARGV[i + 1])
  local task, seen = load_task(ARGV[i])
  local status, seen_attempt = seen[1], tonumber(seen[2]) or 0
  if ended[status] or (status and attempt < seen_attempt) then
    answer[#answer + 1] = 'before'
  elseif status == 'assigned' and attempt == seen_attempt then
    answer[#answer + 1] = 'live'
  else
    if status == 'assigned' then
      -- A record of a later attempt proves that this one was requeued.
      redis.call('HDEL', 'agent:' .. seen[3] .. ':inflight', ARGV[i])
      held[#held + 1] = '"' .. seen[3] .. '":' .. redis.call('HLEN', 'agent:' .. seen[3] .. ':inflight')
      redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', 1)
    end
    redis.call('HSET', task, 'task_id', ARGV[i], 'status', ARGV[1], 'attempt', attempt, 'priority', ARGV[i + 2],
      'submitted_at', ARGV[i + 3], 'finished_at', ARGV[3])
    if ARGV[i + 4] ~= '' then
      if not status then
        redis.call('HSET', task, 'fairness_key', ARGV[i + 4])
      end
      redis.call('ZREM', 'waiting:' .. ARGV[i + 4], ARGV[i])
    end
    redis.call('EXPIRE', task, ARGV[4])
    count = count + 1
    answer[#answer + 1] = 'ended'
  end
end
if count > 0 then
  redis.call('HINCRBY', 'stats:tasks', ARGV[1], count)
  if ARGV[2] ~= '' then
    redis.call('HINCRBY', 'clear:' .. ARGV[2], 'count', count)
    redis.call('EXPIRE', 'clear:' .. ARGV[2], 86400)
  end
end
if #held > 0 then
  redis.call('PUBLISH', KEYS[1],
    '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"held":{' .. table.concat(held, ',') .. '}}')
end
return answer
