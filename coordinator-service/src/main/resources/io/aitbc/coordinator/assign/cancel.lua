-- Cancels a task, whether it is waiting or assigned.
-- Guarantee: fails while agents' assignments are unknown; an ended task is unchanged; a cancelled one is never assigned, and its results
--        are ignored.
-- KEYS   1 the notice channel
-- ARGV   1 task_id, 2 now in ms, 3 1 to note the event, or ''
-- Returns its previous status ('unknown' if there is no such task), its attempt, the agent that has or had it, or '', and 1 if that
--        agent has no topic of its own, else 0
local task_id = ARGV[1]
local task = load_task(task_id)
if not task then
  return { 'unknown', 0, '', 0 }
end
local status, agent_id = task.status, agent_of(task)
if not ended[status] then
  redis.call('SET', 'task:' .. task_id, ended_record(task, 'x', packed_time(ARGV[2])))
  note_ended({ task_id .. ':' .. task.attempt })
  local key = key_in(task.text)
  if key then
    redis.call('ZREM', 'waiting:' .. key, task_id)
  end
  redis.call('HINCRBY', 'stats:tasks', 'cancelled', 1)
  local held = ''
  if status == 'assigned' then
    redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', task_id)
    redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', 1)
    held = ',"held":{' .. held_by(agent_id) .. '}'
    local uses = uses_in(task.text)
    if uses then
      note_loose(task, task_id, uses)
      drop(task_id, uses)
      held = held .. limits_member(save_limits())
    end
  end
  notify('"cancelled":["' .. task_id .. '"]' .. held)
  if ARGV[3] == '1' then
    note_event(task_id, task.attempt, 'cancelled', ARGV[2], agent_id)
  end
end
if status == 'failing' then
  -- Its dead letter is being written.
  status = 'failed'
end
return { status, task.attempt, agent_id, is_shared(redis.call('HGET', 'agent:' .. agent_id, 'delivery')) and 1 or 0 }
