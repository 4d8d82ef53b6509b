-- Removes a task from an agent's assignments if the agent holds no live attempt of it.
-- Guarantee: an entry that has changed since it was read stays.
-- KEYS   1 the notice channel
-- ARGV   1 agent_id, 2 task_id, 3 the entry as read
-- Returns nothing
local inflight = 'agent:' .. ARGV[1] .. ':inflight'
local task = load_task(ARGV[2])
if redis.call('HGET', inflight, ARGV[2]) == ARGV[3]
    and not (task and (task.status == 'assigned' or task.status == 'failing') and agent_of(task) == ARGV[1]) then
  quarantine_field(inflight, ARGV[2])
  notify_held(ARGV[1])
end
return {}
