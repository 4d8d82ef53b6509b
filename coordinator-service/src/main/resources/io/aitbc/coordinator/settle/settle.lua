-- Settles results.
-- Guarantee: a task is completed once; a result of an attempt that is not live changes nothing but a counter.
-- ARGV   1 now in ms, 2 now as ISO 8601, 3 retention in s, then for each result seven:
--        task_id, attempt, agent_id, status, result as JSON or '', started_at or '', finished_at or ''
-- Returns for each result 'completed', 'progressed', 'give back' (nothing changed yet) or 'late'
local now_ms, now, retention = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local answer = {}
local held = {}
local completed, late = 0, 0

-- The share of failures among recent results: halves every minute, and each result counts a tenth.
local function note_outcome(agent_id, failed)
  local agent = 'agent:' .. agent_id
  local seen = redis.call('HMGET', agent, 'failure_share', 'failure_share_at')
  local share = tonumber(seen[1]) or 0
  if share == 0 and failed == 0 then
    return
  end
  share = share * 0.5 ^ ((now_ms - (tonumber(seen[2]) or now_ms)) / 60000)
  share = share + 0.1 * (failed - share)
  redis.call('HSET', agent, 'failure_share', string.format('%.4f', share), 'failure_share_at', ARGV[1])
end

for i = 4, #ARGV, 7 do
  local task_id, attempt, agent_id, outcome = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3]
  local task = 'task:' .. task_id
  local seen = redis.call('HMGET', task, 'status', 'attempt', 'agent_id', 'timeout_seconds')
  local status = seen[1]
  local live = status == 'assigned' and tonumber(seen[2]) == attempt and seen[3] == agent_id
  -- Of a task that Redis knows nothing of, the result is the best that is known: Redis lost what it had.
  if not live and status then
    late = late + 1
    answer[#answer + 1] = 'late'
  elseif outcome == 'completed' then
    redis.call('HSET', task, 'task_id', task_id, 'status', 'completed', 'attempt', attempt, 'agent_id', agent_id,
      'finished_at', now, 'result', ARGV[i + 4])
    if ARGV[i + 5] ~= '' then
      redis.call('HSET', task, 'agent_started_at', ARGV[i + 5])
    end
    if ARGV[i + 6] ~= '' then
      redis.call('HSET', task, 'agent_finished_at', ARGV[i + 6])
    end
    redis.call('EXPIRE', task, retention)
    redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', task_id)
    redis.call('ZREM', 'tasks:deadlines', task_id)
    note_outcome(agent_id, 0)
    held[agent_id] = true
    completed = completed + 1
    answer[#answer + 1] = 'completed'
  elseif outcome == 'progress' then
    if live then
      local timeout_ms = (tonumber(seen[4]) or 600) * 1000
      redis.call('ZADD', 'tasks:deadlines', now_ms + timeout_ms, task_id)
      redis.call('HSET', task, 'progress', ARGV[i + 4], 'progress_at', now)
    end
    answer[#answer + 1] = 'progressed'
  else
    if outcome == 'failed' then
      note_outcome(agent_id, 1)
    end
    answer[#answer + 1] = 'give back'
  end
end

if completed > 0 then redis.call('HINCRBY', 'stats:tasks', 'completed', completed) end
if late > 0 then redis.call('HINCRBY', 'stats:tasks', 'late_results', late) end
local counts = {}
for agent_id, _ in pairs(held) do
  counts[#counts + 1] = '"' .. agent_id .. '":' .. redis.call('HLEN', 'agent:' .. agent_id .. ':inflight')
end
if #counts > 0 then
  redis.call('PUBLISH', 'agent_events', '{"held":{' .. table.concat(counts, ',') .. '}}')
end
return answer
