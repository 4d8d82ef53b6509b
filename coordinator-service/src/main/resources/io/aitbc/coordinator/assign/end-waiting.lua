-- Ends tasks that no agent has.
-- Guarantee: fails while agents' assignments are unknown; a live or ended task is unchanged; a task is counted once per clear command,
--        however often this is repeated.
-- KEYS   1 the notice channel
-- ARGV   1 the new status, for the counter, 2 id of the clear command or '', 3 the version of the caller's definitions of limits if the tasks fail because of
--        these, or '-', then for each task two: task_id, and its record once it has ended, see record.lua
-- Returns one text with a letter for each task: e ended (now), s stands (it had ended so already, while it waited for this attempt), b before (it had ended otherwise, or a later
--        attempt exists), l live (an agent has this attempt), o outdated definitions of limits
local ids, answer, held, records, ended_ids = column(ARGV, 4, 2), {}, {}, {}, {}
local in_batch = {}
if ARGV[3] ~= '-' and (redis.call('GET', 'limits:version') or '') ~= ARGV[3] then
  return { string.rep('o', #ids) }
end
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local record = ARGV[2 * i + 3]
  local attempt = attempt_in(record)
  local task = known(task_id, texts[i])
  local status = task and task.status
  if in_batch[task_id] or ended[status] or status and attempt < task.attempt then
    local stands = task and letter_in(task.text) == letter_in(record) and attempt == task.attempt and assigned_in(task.text) == 0
    answer[i] = stands and not in_batch[task_id] and 's' or 'b'
  elseif status == 'assigned' and attempt == task.attempt then
    answer[i] = 'l'
  else
    if status == 'assigned' then
      -- A record of a later attempt proves that this one was requeued.
      held[free(task_id, task)] = true
      redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', 1)
    end
    if task then
      local tail = sub(record, last_in(record) + 1)
      record = continue_from(task, record, tail ~= '' and tail or nil)
    end
    records[#records + 1] = 'task:' .. task_id
    records[#records + 1] = record
    ended_ids[#ended_ids + 1] = task_id .. ':' .. attempt
    in_batch[task_id] = true
    local key = key_in(record)
    if key then
      redis.call('ZREM', 'waiting:' .. key, task_id)
    end
    answer[i] = 'e'
  end
end
save(records)
note_ended(ended_ids)
if #ended_ids > 0 then
  redis.call('HINCRBY', 'stats:tasks', ARGV[1], #ended_ids)
  if ARGV[2] ~= '' then
    redis.call('HINCRBY', 'clear:' .. ARGV[2], 'count', #ended_ids)
    redis.call('EXPIRE', 'clear:' .. ARGV[2], 86400)
  end
end
notify_changes(held)
return { table.concat(answer) }
