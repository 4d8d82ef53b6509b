-- Ends waiting tasks whose records are gone, as failed.
-- Guarantee: changes only a task that waits, and whose newest record is the one that is gone.
-- KEYS   1 the notice channel, unused
-- ARGV   1 now in ms, then for each task three: task_id, position of its record, error as JSON
-- Returns how many were ended
local now = packed_time(ARGV[1])
local ids, records, ended_ids = column(ARGV, 2, 3), {}, {}
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local task = known(task_id, texts[i])
  if task and letter_in(task.text) == 'q' and position_of(task) == ARGV[3 * i] then
    records[#records + 1] = 'task:' .. task_id
    records[#records + 1] = ended_record(task, 'f', now, '\n' .. ARGV[3 * i + 1] .. '\n\n\n')
    ended_ids[#ended_ids + 1] = task_id .. ':' .. task.attempt
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
return { #ended_ids }
