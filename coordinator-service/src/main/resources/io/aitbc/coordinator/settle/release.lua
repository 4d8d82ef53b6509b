-- Ends unsuccessful attempts: their tasks are requeued, or have failed permanently.
-- Guarantee: an attempt that is no longer live changes nothing; the agents' counts are published all the same.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, then for each attempt six: task_id, attempt, agent_id, error as JSON, the record of the requeued task, see record.lua, or '', and what its
--        agent reported about limits, as JSON, or '', or lost if it has not reported: usage, name → units, and limit, the name of one that gives nothing for so many seconds
-- Returns 1 a text with a digit for each attempt: 1 released, 0 if it was not live, 2 the states of limits that have changed, as members of a JSON object, see
--        limits.lua
local now = packed_time(ARGV[1])
local ids, answer, records, ended_ids = column(ARGV, 2, 6), {}, {}, {}
local released, retried, held_by_agent = 0, 0, {}
-- A batch may name an attempt twice, as when its agent reported it twice.
local in_batch = {}

-- Frees what an attempt used, and closes the limit that its agent named, if it is one of these.
local function end_use(task_id, uses, report)
  report = report ~= '' and report ~= 'lost' and cjson.decode(report) or {}
  for i = 1, #uses, 2 do
    if uses[i] == report.limit then
      local limit = load_limit(uses[i])
      limit.closed_until = math.max(limit.closed_until, math.ceil(redis_us() / 1000 + report.seconds * 1000))
      limit.changed = true
    end
  end
  drop(task_id, uses, report.usage)
end

local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local at = 6 * i - 4
  local attempt, agent_id, requeued = tonumber(ARGV[at + 1]), ARGV[at + 2], ARGV[at + 4]
  local tail = '\n' .. ARGV[at + 3] .. '\n\n\n'
  local task = known(task_id, texts[i])
  local live = not in_batch[task_id] and (not task or task.attempt == attempt and agent_of(task) == agent_id
    and (task.status == 'assigned' or task.status == 'failing' and requeued == ''))
  held_by_agent[agent_id] = held_by_agent[agent_id] or {}
  if live then
    in_batch[task_id] = true
    local known_before = task
    local uses = task and uses_in(task.text)
    if uses then
      if ARGV[at + 5] == 'lost' then
        note_loose(task, task_id, uses)
      end
      end_use(task_id, uses, ARGV[at + 5])
    end
    task = task or parse_record(pack('a', attempt, 0, 0, 0, agent_id .. '\n' .. unknown_body, ''))
    records[#records + 1] = 'task:' .. task_id
    if requeued ~= '' then
      records[#records + 1] = known_before and continue_from(task, requeued, tail) or requeued .. tail
      retried = retried + 1
    else
      records[#records + 1] = ended_record(task, 'f', now, progress_of(task) .. tail)
      ended_ids[#ended_ids + 1] = task_id .. ':' .. attempt
    end
    table.insert(held_by_agent[agent_id], task_id)
    released = released + 1
  end
  answer[i] = live and '1' or '0'
end
save(records)
note_ended(ended_ids)
local held = {}
for agent_id, task_ids in pairs(held_by_agent) do
  if #task_ids > 0 then
    redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', unpack(task_ids))
  end
  held[#held + 1] = held_by(agent_id)
end
if retried > 0 then redis.call('HINCRBY', 'stats:tasks', 'retried', retried) end
if #ended_ids > 0 then redis.call('HINCRBY', 'stats:tasks', 'failed', #ended_ids) end
if released > 0 then redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', released) end
local states = save_limits()
notify('"held":{' .. table.concat(held, ',') .. '}' .. limits_member(states))
return { table.concat(answer), states }
