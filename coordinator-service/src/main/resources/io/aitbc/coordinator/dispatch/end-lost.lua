-- Ends waiting tasks whose records are gone, as failed.
-- Guarantee: fails while agents' assignments are unknown; changes only a task that waits, and whose newest record is the one that is gone.
-- KEYS   1 the notice channel, unused
-- ARGV   1 now in ms, 2 1 to note the events, or '', then for each task three: task_id, position of its record, error as JSON
-- Returns for each task its attempt, or 0 if it was not ended
local now = packed_time(ARGV[1])
local ids, answer, records, ended_ids = column(ARGV, 3, 3), {}, {}, {}
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local task = known(task_id, texts[i])
  local position, failure = ARGV[3 * i + 1], ARGV[3 * i + 2]
  answer[i] = 0
  if task and letter_in(task.text) == 'q' and position_of(task) == position then
    records[#records + 1] = 'task:' .. task_id
    records[#records + 1] = ended_record(task, 'f', now, '\n' .. failure .. '\n\n\n')
    ended_ids[#ended_ids + 1] = task_id .. ':' .. task.attempt
    answer[i] = task.attempt
    if ARGV[2] == '1' then
      note_event(task_id, task.attempt, 'failed', ARGV[1], failure)
    end
    local key = key_in(task.text)
    if key then
      redis.call('ZREM', 'waiting:' .. key, task_id)
    end
  end
end
save(records)
note_ended(ended_ids)
if #ended_ids > 0 then
  redis.call('HINCRBY', 'stats:tasks', 'failed', #ended_ids)
end
return answer
