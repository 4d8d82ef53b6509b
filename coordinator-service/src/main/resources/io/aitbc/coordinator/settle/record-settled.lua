-- Records tasks whose results were settled, when Redis has lost that: completed, or requeued after an unsuccessful attempt.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one, or is at one that did not succeed, as far as is known. Changes
--        nothing if Redis was emptied or replaced again since the lock was acquired.
-- KEYS   1 the notice channel
-- ARGV   1 the lock's owner, 2 seconds after which a requeued task is forgotten again unless its record is read: it may have ended since, 3 1 if the counters
--        lack them too, else ''; then for each task two: task_id, and its record, see record.lua
-- Returns one text with a digit for each task: 1 recorded, 0 if more was known
if not holds_rebuild_lock(ARGV[1]) then
  return redis.error_reply('SUPERSEDED Redis was emptied or replaced again, or the lock has expired')
end
local answer, completed, held = {}, {}, {}
for i = 4, #ARGV, 2 do
  local task_id, record = ARGV[i], parse_record(ARGV[i + 1])
  answer[#answer + 1] = 0
  local task = load_task(task_id)
  local reported = record.status == 'completed' and record.attempt or record.attempt - 1
  local is_live = task and (task.status == 'assigned' or task.status == 'failing') and task.attempt <= reported
  if not task or task.status == 'queued' and task.attempt <= record.attempt or is_live or task.status == 'failed' and task.attempt < reported then
    if is_live then
      held[free(task_id, task)] = true
    elseif task and task.status == 'failed' then
      count_redriven()
    end
    if record.status == 'completed' then
      redis.call('SET', 'task:' .. task_id, task and continue_from(task, record.text, tail_of(record)) or record.text)
      completed[#completed + 1] = task_id .. ':' .. record.attempt
      local key = task and key_in(task.text)
      if key then
        redis.call('ZREM', 'waiting:' .. key, task_id)
      end
    elseif task and task.status ~= 'queued' then
      redis.call('SET', 'task:' .. task_id, continue_from(task, record.text, tail_of(record)))
    elseif task then
      redis.call('SET', 'task:' .. task_id, pack(letter_in(task.text), record.attempt, redriven_in(task.text), 0, 0, body_of(task), tail_of(record)),
        -- It may be one that an earlier call, of a rebuild that failed, has recorded below.
        'KEEPTTL')
    else
      redis.call('SET', 'task:' .. task_id, record.text, 'EX', ARGV[2])
    end
    answer[#answer] = 1
  end
end
if ARGV[3] == '1' and #completed > 0 then
  redis.call('HINCRBY', 'stats:tasks', 'completed', #completed)
end
note_ended(completed)
notify_changes(held)
return { table.concat(answer) }
