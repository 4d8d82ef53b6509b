-- Fences off an attempt after which there is no other, before its dead letter is written: from here on no result of it counts.
-- Guarantee: a dead letter is written only for an attempt that was live. The agent holds the task until release.lua has ended it, so
--        that whoever looks for deadlines repeats the step should the caller die in between.
-- KEYS   1 the channel of notices, not used
-- ARGV   1 task_id, 2 attempt, 3 agent_id
-- Returns 'fenced', now or by an earlier call, or 'before' when the attempt was not live
if redis.call('EXISTS', 'index:complete') == 0 then
  return redis.error_reply('REBUILDING what agents hold is being read from Kafka')
end
local task_id, attempt, agent_id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local task = 'task:' .. task_id
local seen = redis.call('HMGET', task, 'status', 'attempt', 'agent_id')
if seen[1] then
  if (seen[1] ~= 'assigned' and seen[1] ~= 'failing') or tonumber(seen[2]) ~= attempt or seen[3] ~= agent_id then
    return { 'before' }
  end
else
  -- As in settle.lua: the task's own key is gone.
  local note = redis.call('HGET', 'agent:' .. agent_id .. ':inflight', task_id)
  if not note or tonumber(string.match(note, '"attempt":(%d+)')) ~= attempt then
    return { 'before' }
  end
  redis.call('HSET', task, 'assigned_at', string.match(note, '"assigned_at":"([^"]*)"'))
end
redis.call('HSET', task, 'task_id', task_id, 'status', 'failing', 'attempt', attempt, 'agent_id', agent_id)
return { 'fenced' }
