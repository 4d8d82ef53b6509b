-- Restores live attempts that Redis has lost, from the agents' topics.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one, or is at an earlier one that did not succeed; a restored attempt gets its full timeout
--        again, because its progress reports are lost. Changes nothing if Redis was emptied or replaced again since the lock was acquired: attempts
--        read before may have ended.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 the lock's owner, then for each attempt four: task_id, agent_id, the record of the task, see record.lua, and the entry of
--        the agent's in-flight hash
-- Returns how many were restored
if not holds_rebuild_lock(ARGV[2]) then
  return redis.error_reply('SUPERSEDED Redis was emptied or replaced again, or the lock has expired')
end
local now_ms = tonumber(ARGV[1])
local restored, held = 0, {}
local sends_heartbeats = { active = true, busy = true, maintenance = true }
for i = 3, #ARGV, 4 do
  local task_id, agent_id, record, entry = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local attempt = attempt_in(record)
  local task = load_task(task_id)
  -- An assignment proves that earlier attempts had ended.
  local is_earlier = task and task.attempt < attempt and (task.status == 'assigned' or task.status == 'failing' or task.status == 'failed')
  local unknown = not task or task.status == 'queued' and task.attempt <= attempt or is_earlier
  local live = task and task.status == 'assigned' and task.attempt == attempt and agent_of(task) == agent_id
  -- The agent's in-flight hash may have been quarantined when its task was not.
  if unknown or live and redis.call('HEXISTS', 'agent:' .. agent_id .. ':inflight', task_id) == 0 then
    if is_earlier and task.status == 'failed' then
      count_redriven()
    elseif is_earlier then
      held[free(task_id, task)] = true
    end
    redis.call('SET', 'task:' .. task_id, task and continue_from(task, record) or record)
    redis.call('HSET', 'agent:' .. agent_id .. ':inflight', task_id, entry)
    local uses = uses_in(record)
    if uses then
      hold(task_id, uses)
    end
    redis.call('ZADD', 'agents:deadlines', 'LT', digits(deadline_in(record)), agent_id)
    local status = redis.call('HGET', 'agent:' .. agent_id, 'status')
    if status and not sends_heartbeats[status] then
      -- It was marked lost before its assignments were known. The later of the two clocks.
      redis.call('ZADD', 'agents:gone', 'GT', digits(math.max(now_ms, assigned_in(record))), agent_id)
    else
      -- An agent that sends no further heartbeat is found to be silent, and its assignments are requeued.
      redis.call('ZADD', 'agents:heartbeats', 'NX', ARGV[1], agent_id)
    end
    restored = restored + 1
    held[agent_id] = true
  end
end
notify_changes(held)
return { restored }
