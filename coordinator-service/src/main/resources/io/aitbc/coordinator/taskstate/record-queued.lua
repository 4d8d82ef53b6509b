-- Makes waiting tasks visible.
-- Guarantee: of a known task, at most the waiting conditions change: replaced while it waits, or added if this very attempt was
--        assigned before it was recorded here.
-- ARGV   1 the names of the waiting conditions, as a JSON list, 2 the tasks, as JSON, each a list of texts: task_id, attempt, priority,
--        submitted_at, max_attempts, position of its record, then the value of each waiting condition, or ''
-- Returns one text, with 1 for each task that has ended, such as one cancelled before its record was read, else 0
local answer = {}
-- Number of texts before the conditions.
local identity = 6

-- The offset of a position, and what precedes it: queue and partition.
local function parsed(position)
  local partition, offset = string.match(position or '', '^(.+):(%d+)$')
  return partition, tonumber(offset)
end

local conditions = cjson.decode(ARGV[1])
local key_at
for at, field in ipairs(conditions) do
  if field == 'fairness_key' then
    key_at = at
  end
end
for i, one in ipairs(cjson.decode(ARGV[2])) do
  local task = 'task:' .. one[1]
  local seen = redis.call('HMGET', task, 'status', 'attempt', 'unconfirmed', 'position')
  -- Pass the status in place of the agent, which does not matter here.
  if not is_consistent(seen[1], seen[2], seen[1]) then
    quarantine(task, 'status ' .. tostring(seen[1]) .. ', attempt ' .. tostring(seen[2]))
    seen = {}
  end
  local status = seen[1]
  if seen[3] and (tonumber(seen[2]) or 0) <= tonumber(one[2]) then
    -- Restored from the result of the attempt before, see record-settled.lua.
    status = nil
    redis.call('HDEL', task, 'unconfirmed')
    redis.call('PERSIST', task)
  end
  if not status then
    redis.call('HSET', task, 'task_id', one[1], 'status', 'queued', 'attempt', one[2], 'priority', one[3],
      'submitted_at', one[4], 'max_attempts', one[5], 'position', one[6])
    if key_at and one[identity + key_at] ~= '' then
      redis.call('ZADD', 'waiting:' .. one[identity + key_at], 'NX', redis.call('TIME')[1], one[1])
    end
  end
  local attempt = status and status ~= 'queued' and tonumber(seen[2])
  -- A task that ended without a known attempt counts as ended.
  answer[i] = ended[status] and (attempt or math.huge) >= tonumber(one[2]) and 1 or 0
  if status == 'queued' then
    -- Of several records, the last one: see LostRecords.java.
    local partition, offset = parsed(one[6])
    local partition_before, offset_before = parsed(seen[4])
    if partition ~= partition_before or offset > offset_before then
      redis.call('HSET', task, 'position', one[6])
    end
  end
  if status == 'queued' or not status then
    for at, field in ipairs(conditions) do
      local value = one[identity + at]
      if at == key_at and status then
        -- A task keeps the key of its first record.
      elseif value ~= '' then
        redis.call('HSET', task, field, value)
      elseif status then
        redis.call('HDEL', task, field)
      end
    end
  elseif attempt == tonumber(one[2]) then
    for at, field in ipairs(conditions) do
      if at ~= key_at and one[identity + at] ~= '' then
        redis.call('HSETNX', task, field, one[identity + at])
      end
    end
  end
end
return { table.concat(answer) }
