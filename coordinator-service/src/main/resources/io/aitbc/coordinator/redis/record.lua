-- Prepended to every script, after guard.lua: the packed record of a task, task:{task_id}. TaskRecord.java has the same layout, and
-- erase-tenant.sh reads it. The numbers of the head are in base 36, its times in ms, or 0.
--   1      format, 2
--   2      status: q queued; r queued by a redrive, and its record not yet known to be in the queue; u restored as queued, because a failed result was found, and
--          forgotten unless its record is read from the queue; a assigned; g failing: fenced, and its dead letter is being written; c completed; f failed; x cancelled; e expired
--   3-11   ended at
--   12-15  attempt
--   16-19  attempt of the last redrive, or 0
--   20-24  length of the body in bytes
--   25-33  assigned at, 34-42 deadline
--   43-    body, eight lines: agent, fairness key, position of its record, priority if it has none, submitted_at, max_attempts, timeout_seconds, and the
--          remaining fields as JSON; written as a whole, only the fairness key is carried over
--          tail: nothing, or five lines: progress, error, result as JSON, started_at and finished_at by the agent's clock. In front of the progress are
--          the time of its report, and the number of reports of this attempt in four digits; 0 once the task is at another attempt
--          submitted_at, started_at and finished_at are in ns in base 36, or in ISO 8601 if they are before 1970 or after 2262
local head_length = 42
local unknown_body = string.rep('\n', 7)

-- A number in base 36, with leading zeros. One that does not fit, as from a corrupt key, is the lowest or the highest that does.
local function base36(value, width)
  local text, number = '', math.floor(math.min(math.max(0, number(value, 0)), 36 ^ width - 1))
  for _ = 1, width do
    local digit = number % 36
    text = string.char(digit < 10 and 48 + digit or 87 + digit) .. text
    number = (number - digit) / 36
  end
  return text
end

-- A time in ms, as in a record.
local function packed_time(ms)
  return base36(ms, 9)
end

-- A time in ms as in all other keys, in decimal digits.
local function digits(ms)
  return string.format('%013.0f', ms)
end

local function pack(letter, attempt, redriven, assigned_ms, deadline_ms, body, tail)
  return '2' .. letter .. packed_time(0) .. base36(attempt, 4) .. base36(redriven, 4) .. base36(#body, 5)
    .. packed_time(assigned_ms) .. packed_time(deadline_ms) .. body .. tail
end

local statuses = {
  q = 'queued', r = 'queued', u = 'queued', a = 'assigned', g = 'failing', c = 'completed', f = 'failed', x = 'cancelled', e = 'expired',
}
-- A failing attempt is fenced.
local ended = { completed = true, failed = true, failing = true, cancelled = true, expired = true }

-- Parts of a record.
local function letter_in(text)
  return sub(text, 2, 2)
end

local function attempt_in(text)
  return tonumber(sub(text, 12, 15), 36)
end

local function redriven_in(text)
  return tonumber(sub(text, 16, 19), 36)
end

-- Times in ms. Numbers, because Lua compares texts as the locale of Redis has it.
local function assigned_in(text)
  return tonumber(sub(text, 25, 33), 36) or 0
end

local function deadline_in(text)
  return tonumber(sub(text, 34, 42), 36) or 0
end

local function last_in(text)
  return head_length + (tonumber(sub(text, 20, 24), 36) or 0)
end

-- Nothing if there is none.
local function key_in(text)
  return string.match(text, '^[^\n]*\n([^\n]+)\n', head_length + 1)
end

-- Returns a record as a table: its text, status, attempt, and the last byte of its body; nothing if it is spoilt.
local function parse_record(text)
  local status, attempt, last = statuses[letter_in(text)], attempt_in(text), last_in(text)
  -- The last byte of the body ends a line; an assigned task has an agent.
  if byte(text) ~= 50 or not (status and attempt) or last == head_length or byte(text, last) ~= 10
      or find(text, '[^0-9a-z]') <= head_length
      or (status == 'assigned' or status == 'failing') and byte(text, head_length + 1) == 10 then
    return nil
  end
  return { text = text, status = status, attempt = attempt, last = last }
end

-- Returns a known task, see parse_record. A spoilt record is set aside, and the task is unknown.
local function known(id, text)
  local task = text and parse_record(text)
  if text and not task then
    quarantine('task:' .. id, 'unreadable')
  end
  return task
end

local function load_task(id)
  return known(id, redis.call('GET', 'task:' .. id))
end

-- Returns the letter and the attempt of a task, from the head of its record alone; nothing if it is unknown or spoilt, or its key of another type,
-- which is left as it is.
local function peek(id)
  local head = redis.pcall('GETRANGE', 'task:' .. id, 0, 14)
  local letter, attempt = string.match(type(head) == 'string' and head or '', '^2(%a)%w%w%w%w%w%w%w%w%w(%w%w%w%w)$')
  return letter, tonumber(attempt or '', 36)
end

-- Reads many tasks in one call; returns their texts, or false. A key of another type is set aside.
local function load_texts(ids)
  local texts, missing = {}, {}
  for from = 1, #ids, max_batch do
    local keys = {}
    for i = from, math.min(#ids, from + max_batch - 1) do
      keys[#keys + 1] = 'task:' .. ids[i]
    end
    for i, text in ipairs(call('MGET', unpack(keys))) do
      texts[from + i - 1] = text
      if not text then
        missing[#missing + 1] = keys[i]
      end
    end
  end
  for from = 1, #missing, max_batch do
    if call('EXISTS', unpack(missing, from, math.min(#missing, from + max_batch - 1))) > 0 then
      for i = from, math.min(#missing, from + max_batch - 1) do
        redis.call('GET', missing[i])
      end
    end
  end
  return texts
end

-- Writes records; keys and records alternate.
local function save(records)
  for from = 1, #records, 2 * max_batch do
    call('MSET', unpack(records, from, math.min(#records, from + 2 * max_batch - 1)))
  end
end

local function agent_of(task)
  return string.match(task.text, '^([^\n]*)', head_length + 1)
end

local function position_of(task)
  return string.match(task.text, '^[^\n]*\n[^\n]*\n([^\n]*)', head_length + 1)
end

local function body_of(task)
  return sub(task.text, head_length + 1, task.last)
end

-- For another attempt: the last progress was not its own.
local function tail_of(task)
  return (string.gsub(sub(task.text, task.last + 1), '^%w%w%w%w%w%w%w%w%w%w%w%w%w', packed_time(0) .. base36(0, 4)))
end

-- With its time and number.
local function progress_of(task)
  return string.match(task.text, '^([^\n]*)', task.last + 1)
end

-- A record that a coordinator has packed, continued from what is known: with that one's fairness key and redrive, and with its tail, unless another
-- one is given.
local function continue_from(task, packed, tail)
  local body = sub(packed, head_length + 1, last_in(packed))
  local key = key_in(task.text)
  if key ~= key_in(packed) then
    body = string.gsub(body, '^([^\n]*\n)[^\n]*', function(agent) return agent .. (key or '') end)
  end
  return sub(packed, 1, 15) .. sub(task.text, 16, 19) .. base36(#body, 5) .. sub(packed, 25, head_length)
    .. body .. (tail or tail_of(task))
end

-- Whether a waiting task is an ordinary one: at the attempt asked for, without a fairness key, and with nothing to carry over to a record that a
-- coordinator has packed for an agent. It saves half of the time of a reservation to know that without a table.
local function is_plain(text, packed, agent_id)
  return sub(text, 1, 2) == '2q' and find(text, sub(packed, 3, 19), 3, true) == 3
    and byte(text, head_length + 1) == 10 and byte(text, head_length + 2) == 10
    and byte(packed, head_length + #agent_id + 2) == 10 and last_in(text) == #text
end

-- Whether an attempt is live with an agent, and its record has no tail: as is usual when a result arrives. It saves half of the time of settling
-- one to know that without a table. The beginning of such a record is from TaskRecord.java.
local function is_plainly_live(text, beginning, agent_id)
  return find(text, beginning, 1, true) == 1 and find(text, agent_id, head_length + 1, true) == head_length + 1
    and byte(text, head_length + 1 + #agent_id) == 10 and byte(text, -1) == 10 and last_in(text) == #text
    and find(text, '[^0-9a-z]', 16) > head_length
end

-- Such a record once the attempt is completed. The time is packed.
local function plainly_completed(text, at, outcome)
  return '2c' .. at .. sub(text, 12) .. '\n\n' .. outcome
end

-- A record with progress. The time is packed.
local function progressed_record(task, at, progress)
  local reports = tonumber(sub(progress_of(task) or '', 10, 13), 36) or 0
  return sub(task.text, 1, task.last) .. at .. base36(reports + 1, 4) .. progress .. (string.match(task.text, '\n.*$', task.last + 1) or '\n\n\n\n')
end

-- A record that ends a task. The time is packed.
local function ended_record(task, letter, at, tail)
  return '2' .. letter .. at .. sub(task.text, 12, task.last) .. (tail or sub(task.text, task.last + 1))
end

-- A record whose live attempt is fenced.
local function failing_record(task)
  return '2g' .. sub(task.text, 3)
end

-- Notes that tasks have ended, so that they are forgotten after the retention: by Redis's own clock, because a coordinator with a wrong one must
-- not decide when. Each is its id and attempt, so that a task that was redriven since is not forgotten with it.
local function note_ended(ids)
  if #ids > 0 then
    redis.call('RPUSH', 'tasks:ended', call('TIME')[1] .. ' ' .. table.concat(ids, ' '))
  end
end

-- An entry of an agent's in-flight hash: attempt, assigned at and deadline in ms, and the position of the record it was granted for, or '-'.
local function parse_held(entry)
  local attempt, assigned_ms, deadline_ms, origin = string.match(entry or '', '^(%d+) (%d+) (%d+) (%S+)$')
  return attempt, assigned_ms, deadline_ms, origin
end

-- Restores a lost task from the attempt an agent holds; returns nothing if the agent does not hold it.
local function restore_from_agent(task_id, attempt, agent_id)
  local held, assigned_ms, deadline_ms = parse_held(redis.call('HGET', 'agent:' .. agent_id .. ':inflight', task_id))
  if tonumber(held) ~= attempt then
    return nil
  end
  return parse_record(pack('a', attempt, 0, assigned_ms, deadline_ms, agent_id .. '\n' .. unknown_body, ''))
end
