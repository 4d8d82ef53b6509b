-- Makes agents the holders of attempts again that Redis has lost, as their topics tell.
-- Guarantee: a task of which anything is known but that it waits for this attempt, or an earlier one, is left as it is; an attempt that
--        is restored has its whole time again, because what it reported of its progress is lost. Changes nothing once Redis was
--        emptied again since the turn began: what was read then may have ended.
-- KEYS   1 the channel of notices
-- ARGV   1 now in ms, 2 whose turn it is, then for each attempt ten:
--        task_id, attempt, agent_id, priority, submitted_at, assigned_at, assigned_at in ms, max_attempts, timeout_seconds,
--        new deadline as ISO 8601
-- Returns how many were restored
if redis.call('GET', 'index:rebuilding') ~= ARGV[2] then
  return redis.error_reply('SUPERSEDED Redis was emptied once more, or it took too long')
end
local now_ms = tonumber(ARGV[1])
local restored, held = 0, {}
local speaks = { active = true, busy = true, maintenance = true }
for i = 3, #ARGV, 10 do
  local task_id, attempt, agent_id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
  local task, seen = task_of(task_id)
  local unknown = not seen[1] or seen[1] == 'queued' and (tonumber(seen[2]) or 0) <= attempt
  local live = seen[1] == 'assigned' and tonumber(seen[2]) == attempt and seen[3] == agent_id
  -- What an agent holds may have been set aside where its task was not.
  if unknown or live and redis.call('HEXISTS', 'agent:' .. agent_id .. ':inflight', task_id) == 0 then
    redis.call('HSET', task, 'task_id', task_id, 'status', 'assigned', 'attempt', attempt, 'agent_id', agent_id,
      'priority', ARGV[i + 3], 'submitted_at', ARGV[i + 4], 'assigned_at', ARGV[i + 5], 'assigned_ms', ARGV[i + 6],
      'deadline', ARGV[i + 9], 'max_attempts', ARGV[i + 7], 'timeout_seconds', ARGV[i + 8])
    redis.call('HSET', 'agent:' .. agent_id .. ':inflight', task_id,
      '{"attempt":' .. attempt .. ',"assigned_at":"' .. ARGV[i + 5] .. '","deadline":"' .. ARGV[i + 9] .. '"}')
    redis.call('ZADD', 'agents:deadlines', 'LT', string.format('%.0f', now_ms + tonumber(ARGV[i + 8]) * 1000), agent_id)
    local status = redis.call('HGET', 'agent:' .. agent_id, 'status')
    if status and not speaks[status] then
      -- It was found to be lost before it was known what it holds; by whichever clock is ahead.
      redis.call('ZADD', 'agents:gone', 'GT', math.max(now_ms, tonumber(ARGV[i + 6])), agent_id)
    else
      -- One that does not speak again is found to be silent, and what it holds is given back.
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
