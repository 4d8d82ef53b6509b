-- Reserves attempts for agents.
-- Guarantee: no limit is exceeded; at most one attempt of a task is live; an agent never holds more than its capacity, and one without a topic of its own
--        is granted no more than its open claims request; idempotent; while agents' assignments are unknown, nothing is granted and the
--        call fails.
-- KEYS   1 the notice channel; other names are built from ids, see Keys.java (no Redis Cluster)
-- ARGV   1 now in ms, 2 the calling coordinator, named in notices, 3 for how many ms the tasks have waited, in total, 4 for each placement four, packed:
--        task_id, agent_id, the record of the task once it is assigned, see record.lua, and the entry of the agent's in-flight hash, 5 the version of the
--        caller's definitions of limits, see Keys.java, 6 for each limit that these placements use and that is defined six, packed: its name, concurrency, us
--        between units of its rate, burst, budget and period, or ''
-- Returns 1 a letter for each placement (granted, live, duplicate, full, unavailable; m kept back by a limit, or by want of a resource,
--        o outdated definitions of limits; ended; of those that have ended with this attempt: was held by an
--        agent; while it waited, x cancelled, p expired or z failed), a capital if granted to or live at an agent without a topic of its own, 2 how many each agent
--        holds in the end, in the order in which placements name them, separated by commas, 3 the states of limits
--        that have changed or refused, as members of a JSON object, see limits.lua, 4 the limits of which more has to be noted, as members of a JSON object,
--        with the id of this request and the units that are needed, then for each one that is live or was held: the agent that holds or held it, and since when, in ms, of a live
--        one also the limits that it uses, as JSON, or ''; for each that a
--        limit keeps back: its name; for each that failed while it waited: the error as JSON
local now_ms = tonumber(ARGV[1])
local rulings, answer = {}, { '', '', '', '' }
-- By id, and those that placements name.
local agents, named = {}, {}
-- Written at the end, in one call for many: records, and for each agent the earliest deadline of its new assignments.
local records, deadlines = {}, {}
local granted, retried = 0, 0

local function load_agent(id)
  local agent = agents[id]
  if not agent then
    local fields = redis.call('HMGET', 'agent:' .. id, 'status', 'capacity', 'delivery', 'open_slots', 'open_until', 'resources')
    agent = {
      status = fields[1],
      -- Absent, it is the default of registrations.
      capacity = number(fields[2] or 100, 0),
      held = redis.call('HLEN', 'agent:' .. id .. ':inflight'),
      resources = fields[6] or '',
      grants = {},
    }
    if is_shared(fields[3]) then
      -- Claims whose coordinator died expire.
      agent.open = number(fields[5], 0) >= now_ms and number(fields[4], 0) or 0
    end
    agents[id] = agent
  end
  return agent
end

-- Writes the agent's pending grants.
local function write_grants(id, agent)
  if #agent.grants > 0 then
    redis.call('HSET', 'agent:' .. id .. ':inflight', unpack(agent.grants))
    agent.grants = {}
  end
end

local function write_deadlines()
  if #deadlines > 0 then
    redis.call('ZADD', 'agents:deadlines', 'LT', unpack(deadlines))
    deadlines = {}
  end
end

-- Whether the agent's in-flight hash also records a live attempt. If not, one of the two was quarantined or corrupted: the entry is added
-- again, if the agent exists.
local function holds(id, task_id, task)
  local agent = agents[id]
  if agent then
    write_grants(id, agent)
  end
  local inflight = 'agent:' .. id .. ':inflight'
  if redis.call('HEXISTS', inflight, task_id) == 0 then
    if redis.call('EXISTS', 'agent:' .. id) == 0 then
      return false
    end
    redis.call('HSET', inflight, task_id,
      task.attempt .. ' ' .. digits(assigned_in(task.text)) .. ' ' .. digits(deadline_in(task.text)) .. ' -')
    if agent then
      agent.held, agent.changed = agent.held + 1, true
    end
  end
  return true
end

-- Whether an attempt was granted for another record of the same task. That record is the one to publish again; if it is unknown, as after
-- Redis was emptied, any record is.
local function is_duplicate(holder, task_id, entry)
  local _, _, _, origin = parse_held(redis.call('HGET', 'agent:' .. holder .. ':inflight', task_id))
  local _, _, _, asked = parse_held(entry)
  return origin and origin ~= '-' and origin ~= asked
end

-- In the error of a task that used more than a limit can give, see LimitBook.java.
local over_limit = ' units of the limit '

-- How a task that has ended did so, if it was with this attempt.
local function ended_ruling(task, attempt)
  if attempt ~= task.attempt then
    return 'e'
  end
  return assigned_in(task.text) > 0 and 'w' or task.status == 'cancelled' and 'x' or task.status == 'expired' and 'p' or find(task.text, over_limit, task.last, true) and 'z' or 'e'
end

local is_outdated = (redis.call('GET', 'limits:version') or '') ~= ARGV[5]
-- Definitions of limits and periods of budgets, by name.
local defined, periods, to_note = {}, {}, {}

local function load_definitions()
  local given = cmsgpack.unpack(ARGV[6])
  for i = 1, #given, 6 do
    local name = given[i]
    defined[name] = {
      concurrency = tonumber(given[i + 1]), interval = tonumber(given[i + 2]), burst = tonumber(given[i + 3]), budget = tonumber(given[i + 4]),
      period = given[i + 5],
    }
    periods[name] = given[i + 5] ~= '' and given[i + 5] or nil
    local limit = load_limit(name)
    if defined[name].interval then
      local whole = defined[name].burst * defined[name].interval
      -- Nothing is known of before Redis was complete: the bucket was empty then. It is never more than empty, whatever an earlier definition allowed.
      limit.full_at = math.min(limit.full_at or number(redis.call('GET', 'limits:since'), 0) * 1000 + whole, redis_us() + whole)
    end
  end
end

if #ARGV[6] > 5 then
  load_definitions()
end

-- Asks the caller to note more of a budget in Kafka, unless another has been asked.
local function request_note(name, units)
  local request = ARGV[2] .. ':' .. digits_of(redis_us()) .. ':' .. #to_note
  if acquire('limits:noting:' .. name, request, 15000) then
    to_note[#to_note + 1] = '"' .. name .. '":["' .. request .. '",' .. digits_of(units) .. ']'
  end
end

local function budget_refuses(name, limit, definition, units)
  local is_older = #limit.period == #definition.period and definition.period < limit.period
  if limit.period ~= definition.period and not is_older then
    request_note(name, units)
    return true
  elseif is_older or limit.spent + units > definition.budget then
    return true
  elseif limit.spent + units > limit.noted then
    request_note(name, units)
    return true
  end
  return false
end

-- What an agent has of a resource, in thousandths.
local function amount_of(agent, name)
  local label = '"' .. string.match(name, '/(.*)$') .. '":'
  local _, last = find(agent.resources, label, 1, true)
  return math.floor(1000 * number(last and string.match(agent.resources, '^[%d.]+', last + 1), 0) + 0.5)
end

-- Whether an agent has too little of a resource left for an attempt. An earlier one of the task may hold some until then.
local function lacks(agent, task_id, name, units, has_earlier)
  local limit = load_limit(name)
  local held = has_earlier and units_of(redis.call('HGET', 'held:' .. name, task_id)) or 0
  local is_short = limit.used - held + units > amount_of(agent, name)
  limit.was_changed = limit.was_changed or is_short
  return is_short
end

-- The first limit that refuses the units of an attempt; nothing if all grant them. An earlier attempt of the task may hold units until then. Rate by the
-- generic cell rate algorithm (ITU-T I.371).
local function refused_by(agent, task_id, uses, has_earlier)
  local now_us = redis_us()
  for i = 1, #uses, 2 do
    local name, units = uses[i], uses[i + 1]
    local definition = defined[name]
    if is_resource(name) then
      if lacks(agent, task_id, name, units, has_earlier) then
        return name
      end
    elseif definition then
      local limit = load_limit(name)
      -- Its state is part of the answer, whichever limit refuses.
      limit.was_changed = true
      if limit.closed_until * 1000 > now_us
          or definition.concurrency
            and limit.used - (has_earlier and units_of(redis.call('HGET', 'held:' .. name, task_id)) or 0) + units > definition.concurrency
          or definition.interval and math.max(limit.full_at, now_us) + (units - definition.burst) * definition.interval > now_us
          or definition.budget and budget_refuses(name, limit, definition, units) then
        return name
      end
    end
  end
end

local function take(task_id, uses)
  hold(task_id, uses, periods)
  for i = 1, #uses, 2 do
    local name, units = uses[i], uses[i + 1]
    local definition = defined[name]
    if definition then
      local limit = load_limit(name)
      if definition.interval then
        limit.full_at = math.max(limit.full_at, redis_us()) + units * definition.interval
      end
      if definition.budget then
        limit.spent = limit.spent + units
      end
    end
  end
end

-- Tasks of earlier placements of this batch, whose records are not written yet.
local placed = {}

-- Grants an attempt to an agent. A holder has an earlier attempt of the task.
local function grant(i, task_id, agent_id, record, entry, task, holder)
  local agent = agents[agent_id]
  if holder then
    -- A record of a later attempt proves that this one was requeued.
    task.text = sub(task.text, 1, task.last)
    if agents[holder] then
      write_grants(holder, agents[holder])
    end
    if redis.call('HDEL', 'agent:' .. holder .. ':inflight', task_id) == 1 then
      retried = retried + 1
      if agents[holder] then
        agents[holder].held = agents[holder].held - 1
      else
        load_agent(holder)
      end
      agents[holder].freed = true
    end
  end
  local grants = agent.grants
  local n = #grants
  grants[n + 1] = task_id
  grants[n + 2] = entry
  if n >= max_batch then
    write_grants(agent_id, agent)
  end
  if task then
    record = continue_from(task, record)
  end
  placed[task_id] = record
  records[2 * granted + 1] = 'task:' .. task_id
  records[2 * granted + 2] = record
  if byte(record, head_length + #agent_id + 2) ~= 10 then
    redis.call('ZREM', 'waiting:' .. key_in(record), task_id)
  end
  local deadline = deadline_in(record)
  if not agent.first_deadline or deadline < agent.first_deadline then
    agent.first_deadline = deadline
  end
  agent.held = agent.held + 1
  agent.changed = true
  if agent.open then
    agent.open = agent.open - 1
  end
  granted = granted + 1
  rulings[i] = agent.open and 'G' or 'g'
end

local asked = cmsgpack.unpack(ARGV[4])
local ids = column(asked, 1, 4)
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local at = 4 * i - 3
  local agent_id, record, entry = asked[at + 1], asked[at + 2], asked[at + 3]
  local text = placed[task_id] or texts[i]
  local task = text and not is_plain(text, record, agent_id) and known(task_id, text)
  local agent = agents[agent_id] or load_agent(agent_id)
  if not agent.named then
    agent.named = true
    named[#named + 1] = agent
  end
  local attempt = task and attempt_in(record)
  local status = task and task.status
  local holder = status == 'assigned' and agent_of(task)
  if holder and attempt == task.attempt and not holds(holder, task_id, task) then
    quarantine('task:' .. task_id, 'assigned to ' .. holder .. ', which does not exist')
    task, status, holder = nil, nil, false
  end
  if ended[status] or status and attempt < task.attempt then
    rulings[i] = ended_ruling(task, attempt)
    if rulings[i] == 'w' then
      answer[#answer + 1] = agent_of(task)
      answer[#answer + 1] = digits(assigned_in(task.text))
    elseif rulings[i] == 'z' then
      answer[#answer + 1] = string.match(task.text, '^[^\n]*\n([^\n]*)', task.last + 1) or ''
    end
  elseif holder and attempt == task.attempt then
    if is_duplicate(holder, task_id, entry) then
      rulings[i] = 'd'
    else
      rulings[i] = is_shared(redis.call('HGET', 'agent:' .. holder, 'delivery')) and 'L' or 'l'
      answer[#answer + 1] = holder
      answer[#answer + 1] = digits(assigned_in(task.text))
      answer[#answer + 1] = uses_in(task.text) and string.match(body_of(task), '\n{"uses":({[^}]*})') or ''
    end
  elseif agent.status ~= 'active' then
    rulings[i] = 'u'
  elseif agent.held >= agent.capacity or agent.open and agent.open <= 0 then
    rulings[i] = 'f'
    -- The caller has an outdated count of its open slots.
    agent.refused = agent.open
  elseif is_outdated then
    rulings[i] = 'o'
  else
    local uses = uses_in(record)
    local refuser = uses and refused_by(agent, task_id, uses, holder)
    if refuser then
      rulings[i] = 'm'
      answer[#answer + 1] = refuser
    else
      if holder then
        drop(task_id, uses_in(task.text) or {})
      end
      grant(i, task_id, agent_id, record, entry, task, holder)
      if uses then
        take(task_id, uses)
      end
    end
  end
end
save(records)

local changed = {}
for id, agent in pairs(agents) do
  write_grants(id, agent)
  if agent.open and (agent.first_deadline or agent.refused) then
    redis.call('HSET', 'agent:' .. id, 'open_slots', agent.open)
  end
  if agent.refused then
    changed[#changed + 1] = '"' .. id .. '"'
  end
  if agent.first_deadline then
    deadlines[#deadlines + 1] = digits(agent.first_deadline)
    deadlines[#deadlines + 1] = id
    if #deadlines >= max_batch then
      write_deadlines()
    end
  end
end
write_deadlines()

if retried > 0 then
  redis.call('HINCRBY', 'stats:tasks', 'retried', retried)
  redis.call('HINCRBY', 'stats:tasks', 'failed_attempts', retried)
end
if granted > 0 then
  redis.call('HINCRBY', 'stats:tasks', 'distributed', granted)
  -- As if those that were refused had waited as long.
  redis.call('HINCRBY', 'stats:tasks', 'distribution_ms', math.floor(ARGV[3] * granted / #ids))
end
answer[3] = save_limits()
answer[4] = table.concat(to_note, ',')
if granted + retried + #changed > 0 then
  local held, freed = {}, {}
  for id, agent in pairs(agents) do
    if agent.changed or agent.freed then
      local news = agent.freed and freed or held
      news[#news + 1] = '"' .. id .. '":' .. agent.held
    end
  end
  notify('"by":"' .. ARGV[2] .. '","held":{' .. table.concat(held, ',') .. '},"freed":{' .. table.concat(freed, ',') .. '}'
    .. (#changed > 0 and ',"changed":[' .. table.concat(changed, ',') .. ']' or '') .. limits_member(answer[3]))
end
answer[1] = table.concat(rulings)
for i, agent in ipairs(named) do
  named[i] = agent.held
end
answer[2] = table.concat(named, ',')
return answer
