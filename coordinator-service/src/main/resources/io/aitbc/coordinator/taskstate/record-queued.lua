-- Makes waiting tasks visible.
-- Guarantee: a known task is unchanged, unless it waits for this attempt or an earlier one.
-- ARGV   1 for each task two, packed: task_id, and its record, see record.lua
-- Returns one text with a letter for each task: w waits, e has ended, such as one cancelled before its record was read, o otherwise: an agent has it, or another
--        record of it waits
local asked = cmsgpack.unpack(ARGV[1])
local ids, answer, records = column(asked, 1, 2), {}, {}

-- The offset of a position, and what precedes it: queue and partition.
local function parsed(position)
  local partition, offset = string.match(position or '', '^(.+):(%d+)$')
  return partition, tonumber(offset)
end

local texts = load_texts(ids)
-- Tasks of this batch whose records are not written yet.
local in_batch = {}
for i, task_id in ipairs(ids) do
  local packed = asked[2 * i]
  local task = known(task_id, in_batch[task_id] or texts[i])
  local record
  if not task or letter_in(task.text) == 'u' and task.attempt <= attempt_in(packed) then
    record = packed .. (task and tail_of(task) or '')
    local key = key_in(packed)
    if key then
      redis.call('ZADD', 'waiting:' .. key, 'NX', call('TIME')[1], task_id)
    end
  elseif task.status == 'queued' and task.attempt <= attempt_in(packed) then
    local new = parse_record(packed)
    -- Of several records, the last one: see LostRecords.java.
    local partition, offset = parsed(position_of(new))
    local partition_before, offset_before = parsed(position_of(task))
    if letter_in(task.text) == 'r' or partition ~= partition_before or offset >= offset_before then
      record = continue_from(task, packed)
    end
  end
  if record then
    in_batch[task_id] = record
    records[#records + 1] = 'task:' .. task_id
    records[#records + 1] = record
  end
  answer[i] = record and 'w' or ended[task.status] and task.attempt >= attempt_in(packed) and 'e' or 'o'
end
save(records)
return { table.concat(answer) }
