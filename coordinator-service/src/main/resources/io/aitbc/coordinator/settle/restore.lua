-- Restores live attempts that Redis has lost, from the agents' topics.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one; a restored attempt gets its full timeout
--        again, because its progress reports are lost. Changes nothing if Redis was emptied again since the lock was acquired: attempts
--        read before may have ended.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 the lock's owner, then for each attempt eleven:
--        task_id, attempt, agent_id, priority, submitted_at, assigned_at, assigned_at in ms, max_attempts, timeout_seconds,
--        new deadline as ISO 8601, fairness key or ''
-- Returns how many were restored
if redis.call('GET', 'index:rebuilding') ~= ARGV[2] then
  return redis.error_reply('SUPERSEDED Redis was emptied again, or the lock has expired')
end
local now_ms = tonumber(ARGV[1])
local restored, held = 0, {}
local sends_heartbeats = { active = true, busy = true, maintenance = true }
for i = 3, #ARGV, 11 do
  local task_id, attempt, agent_id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local task, seen = load_task(task_id, 'unconfirmed')
  local unknown = not seen[1] or seen[1] == 'queued' and (tonumber(seen[2]) or 0) <= attempt
  local live = seen[1] == 'assigned' and tonumber(seen[2]) == attempt and seen[3] == agent_id
  -- The agent's in-flight hash may have been quarantined when its task was not.
  if unknown or live and redis.call('HEXISTS', 'agent:' .. agent_id .. ':inflight', task_id) == 0 then
    redis.call('HSET', task, 'task_id', task_id, 'status', 'assigned', 'attempt', attempt, 'agent_id', agent_id,
      'priority', ARGV[i + 3], 'submitted_at', ARGV[i + 4], 'assigned_at', ARGV[i + 5], 'assigned_ms', ARGV[i + 6],
      'deadline', ARGV[i + 9], 'max_attempts', ARGV[i + 7], 'timeout_seconds', ARGV[i + 8])
    if seen[4] then
      -- See record-settled.lua.
      redis.call('HDEL', task, 'unconfirmed')
      redis.call('PERSIST', task)
    end
    if ARGV[i + 10] ~= '' and not seen[1] then
      redis.call('HSET', task, 'fairness_key', ARGV[i + 10])
    end
    redis.call('HSET', 'agent:' .. agent_id .. ':inflight', task_id,
      '{"attempt":' .. attempt .. ',"assigned_at":"' .. ARGV[i + 5] .. '","deadline":"' .. ARGV[i + 9] .. '"}')
    redis.call('ZADD', 'agents:deadlines', 'LT', string.format('%.0f', now_ms + tonumber(ARGV[i + 8]) * 1000), agent_id)
    local status = redis.call('HGET', 'agent:' .. agent_id, 'status')
    if status and not sends_heartbeats[status] then
      -- It was marked lost before its assignments were known. The later of the two clocks.
      redis.call('ZADD', 'agents:gone', 'GT', math.max(now_ms, tonumber(ARGV[i + 6])), agent_id)
    else
      -- An agent that sends no further heartbeat is found to be silent, and its assignments are requeued.
      redis.call('ZADD', 'agents:heartbeats', 'NX', ARGV[1], agent_id)
    end
    restored = restored + 1
    held[agent_id] = true
  end
end
local counts = {}
for agent_id, _ in pairs(held) do
  counts[#counts + 1] = '"' .. agent_id .. '":' .. redis.call('HLEN', 'agent:' .. agent_id .. ':inflight')
end
if #counts > 0 then
  redis.call('PUBLISH', KEYS[1], '{"seq":' .. redis.call('INCR', 'agents:events') .. ',"held":{' .. table.concat(counts, ',') .. '}}')
end
return { restored }
