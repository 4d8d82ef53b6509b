-- Requeues a permanently failed task.
-- Guarantee: a task is redriven once per failure; repeated before it is assigned, the answer is the same.
-- KEYS   1 the notice channel
-- ARGV   1 task_id, 2 the record of the task as it failed, see record.lua, 3 now in ms, 4 its priority, 5 1 to note the event, or ''
-- Returns its previous status ('unknown' if it has been forgotten), its next attempt, 0 if it cannot be redriven, and 1 if it has been redriven
--        before and is known to be back in its queue, else 0
local task_id, dead_letter = ARGV[1], parse_record(ARGV[2])
local task = load_task(task_id)
local status = task and task.status or 'unknown'
if status == 'queued' and redriven_in(task.text) == task.attempt then
  return { status, task.attempt, letter_in(task.text) == 'q' and 1 or 0 }
end
-- The dead letter exists, so the task has failed, even if its writer has not recorded that yet.
local failing = status == 'failing' and task.attempt == dead_letter.attempt
if failing then
  notify_changes({ [free(task_id, task)] = true })
elseif status ~= 'failed' and status ~= 'unknown' then
  return { status, 0, 0 }
end
local next_attempt = (task or dead_letter).attempt + 1
local continued = parse_record(task and continue_from(task, ARGV[2]) or ARGV[2])
redis.call('SET', 'task:' .. task_id,
  pack('r', next_attempt, next_attempt, 0, 0, body_of(continued), tail_of(continued)))
if ARGV[5] == '1' then
  note_event(task_id, next_attempt, 'redriven', ARGV[3], ARGV[4])
end
if failing then
  status = 'failed'
  redis.call('HINCRBY', 'stats:tasks', 'redriven', 1)
elseif status == 'failed' then
  count_redriven()
end
return { status, next_attempt, 0 }
