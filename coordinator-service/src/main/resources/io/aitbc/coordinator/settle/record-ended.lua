-- Records how tasks ended without a result, or were redriven, from their events, when Redis has lost that.
-- Guarantee: a known task is unchanged if it has ended otherwise, or is at a later attempt. Changes nothing if Redis was emptied or replaced again since the lock was
--        acquired.
-- KEYS   1 the notice channel
-- ARGV   1 the lock's owner
--        2 1 if the counters lack these events too, else ''
--        then for each event five, those of a task in their order: task_id, attempt, a letter, its time in ms, and the error as JSON or ''. The letter is f failed,
--        x cancelled, e expired, or r redriven to this attempt
-- Returns how many changed a task
if not holds_rebuild_lock(ARGV[1]) then
  return redis.error_reply('SUPERSEDED Redis was emptied or replaced again, or the lock has expired')
end
local recorded, held, ended_ids = 0, {}, {}
for i = 3, #ARGV, 5 do
  local task_id, attempt, letter, at, failure = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], packed_time(ARGV[i + 3]), ARGV[i + 4]
  local task = load_task(task_id)
  local status = task and task.status
  local is_live = status == 'assigned' or status == 'failing'
  local record
  if letter == 'r' then
    if (status == 'failed' or status == 'failing') and task.attempt < attempt then
      record = pack('r', attempt, attempt, 0, 0, string.gsub(body_of(task), '^[^\n]*', '', 1), tail_of(task))
    end
  elseif not task or (status == 'queued' or is_live) and task.attempt <= attempt then
    task = task or parse_record(pack('q', attempt, 0, 0, 0, '\n' .. unknown_body, ''))
    record = '2' .. letter .. at .. base36(attempt, 4) .. sub(task.text, 16, task.last)
      .. (failure ~= '' and '\n' .. failure .. '\n\n\n' or sub(task.text, task.last + 1))
    ended_ids[#ended_ids + 1] = task_id .. ':' .. attempt
    local key = key_in(task.text)
    if key then
      redis.call('ZREM', 'waiting:' .. key, task_id)
    end
  end
  if record then
    if is_live then
      held[free(task_id, task)] = true
    end
    redis.call('SET', 'task:' .. task_id, record)
    if letter == 'r' and status == 'failed' then
      count_redriven()
    elseif ARGV[2] == '1' then
      redis.call('HINCRBY', 'stats:tasks', letter == 'r' and 'redriven' or statuses[letter], 1)
    end
    recorded = recorded + 1
  end
end
note_ended(ended_ids)
notify_changes(held)
return { recorded }
