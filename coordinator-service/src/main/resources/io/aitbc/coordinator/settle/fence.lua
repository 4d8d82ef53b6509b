-- Fences an attempt that has no successor, before its dead letter is written: from here on none of its results counts.
-- Guarantee: a dead letter is written only for an attempt that was live. The agent holds the task until release.lua has ended it, so
--        that recovery repeats the step if the caller dies in between.
-- KEYS   1 the notice channel, unused
-- ARGV   1 task_id, 2 attempt, 3 agent_id
-- Returns 'fenced', now or by an earlier call, or 'before' if the attempt was not live
if redis.call('EXISTS', 'index:complete') == 0 then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
local task_id, attempt, agent_id = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local task, seen = load_task(task_id)
if not seen[1] and restore_from_agent(task_id, attempt, agent_id) then
  seen = { 'assigned', attempt, agent_id }
end
if (seen[1] ~= 'assigned' and seen[1] ~= 'failing') or tonumber(seen[2]) ~= attempt or seen[3] ~= agent_id then
  return { 'before' }
end
redis.call('HSET', task, 'status', 'failing')
return { 'fenced' }
