-- Reserves attempts for agents.
-- Guarantee: at most one attempt of a task is live; an agent never holds more than its capacity, and one without a topic of its own
--        is granted no more than its open claims request; idempotent; while agents' assignments are unknown, nothing is granted and the
--        call fails.
-- KEYS   1 the notice channel; other names are built from ids, see Keys.java (no Redis Cluster)
-- ARGV   1 now in ms, 2 now as ISO 8601, 3 the calling coordinator, named in notices, 4 an object: timeout_seconds -> deadline as
--        ISO 8601, 5 the placements, as JSON, which costs the client much less than many arguments; each is a list of texts:
--        task_id, attempt, agent_id, priority, submitted_at, submitted_at in ms, max_attempts, timeout_seconds, origin: the position
--        of its record, see Position.java, and the fairness key if the task has one
-- Returns 1 a letter for each placement (granted, live, duplicate, ended, full, unavailable), a capital if granted to or live at an agent
--        without a topic of its own, 2 how many its agent holds, separated by commas, then for each live one: the agent that holds it, and since when, as ISO 8601
if redis.call('EXISTS', 'index:complete') == 0 then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
local now_ms = tonumber(ARGV[1])
local now = ARGV[2]
local deadline_of = cjson.decode(ARGV[4])
local rulings, helds, answer = {}, {}, { '', '' }
local agents = {}
-- For each agent, the earliest deadline of its new assignments: written at the end, in one call for many.
local deadlines = {}
local max_batch = 1000
local granted, retried, waited_ms = 0, 0, 0

local function load_agent(id)
  local known = agents[id]
  if not known then
    local fields = redis.call('HMGET', 'agent:' .. id, 'status', 'capacity', 'delivery', 'open_slots', 'open_until')
    known = {
      status = fields[1],
      capacity = number(fields[2], 0),
      held = redis.call('HLEN', 'agent:' .. id .. ':inflight'),
      grants = {},
    }
    if is_shared(fields[3]) then
      -- Claims whose coordinator died expire.
      known.open = number(fields[5], 0) >= now_ms and number(fields[4], 0) or 0
    end
    agents[id] = known
  end
  return known
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
local function holds(id, task_id, attempt, assigned_at, deadline)
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
      '{"attempt":' .. attempt .. ',"assigned_at":"' .. assigned_at .. '","deadline":"' .. deadline .. '"}')
    if agent then
      agent.held, agent.changed = agent.held + 1, true
    end
  end
  return true
end

-- Whether an attempt was granted for another record of the same task. That record is the one to publish again; if it is unknown, as after
-- Redis was emptied, any record is.
local function is_duplicate(holder, task_id, origin)
  local entry = redis.call('HGET', 'agent:' .. holder .. ':inflight', task_id)
  local granted_for = entry and string.match(entry, '"origin":"([^"]*)"')
  return granted_for and granted_for ~= origin
end

for i, placement in ipairs(cjson.decode(ARGV[5])) do
  local task_id, attempt, agent_id = placement[1], tonumber(placement[2]), placement[3]
  local task = 'task:' .. task_id
  local seen = redis.call('HMGET', task, 'status', 'attempt', 'agent_id', 'assigned_at', 'unconfirmed')
  local status, seen_attempt, holder = seen[1], tonumber(seen[2]) or 0, seen[3]
  local agent = load_agent(agent_id)
  local timeout = placement[8]
  local deadline = deadline_of[timeout]
  if not is_consistent(status, seen[2], holder)
    or status == 'assigned' and attempt == seen_attempt and not holds(holder, task_id, attempt, seen[4] or now, deadline) then
    quarantine(task, 'status ' .. tostring(status) .. ', attempt ' .. tostring(seen[2]) .. ', agent ' .. tostring(holder))
    status, seen_attempt = nil, 0
  end
  if ended[status] or (status and attempt < seen_attempt) then
    rulings[i] = 'e'
  elseif status == 'assigned' and attempt == seen_attempt then
    if is_duplicate(holder, task_id, placement[9]) then
      rulings[i] = 'd'
    else
      rulings[i] = is_shared(redis.call('HGET', 'agent:' .. holder, 'delivery')) and 'L' or 'l'
      answer[#answer + 1] = holder
      answer[#answer + 1] = seen[4] or now
    end
  elseif agent.status ~= 'active' then
    rulings[i] = 'u'
  elseif agent.held >= agent.capacity or agent.open and agent.open <= 0 then
    rulings[i] = 'f'
    -- The caller has an outdated count of its open slots.
    agent.refused = agent.open
  else
    if status == 'assigned' then
      -- A record of a later attempt proves that this one was requeued.
      redis.call('HDEL', task, 'progress', 'progress_at')
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
    if seen[5] then
      -- See record-settled.lua.
      redis.call('HDEL', task, 'unconfirmed')
      redis.call('PERSIST', task)
    end
    local n = #agent.grants
    agent.grants[n + 1] = task_id
    agent.grants[n + 2] = '{"attempt":' .. attempt .. ',"assigned_at":"' .. now .. '","deadline":"' .. deadline
      .. '","origin":"' .. placement[9] .. '"}'
    if n >= max_batch then
      write_grants(agent_id, agent)
    end
    call('HSET', task, 'task_id', task_id, 'status', 'assigned', 'attempt', attempt, 'agent_id', agent_id,
      'priority', placement[4], 'submitted_at', placement[5], 'assigned_at', now, 'assigned_ms', ARGV[1], 'deadline', deadline,
      'max_attempts', placement[7], 'timeout_seconds', timeout)
    if placement[10] then
      if not status then
        redis.call('HSET', task, 'fairness_key', placement[10])
      end
      redis.call('ZREM', 'waiting:' .. placement[10], task_id)
    end
    agent.first_deadline = math.min(agent.first_deadline or math.huge, now_ms + timeout * 1000)
    agent.held = agent.held + 1
    agent.changed = true
    if agent.open then
      agent.open = agent.open - 1
    end
    granted = granted + 1
    waited_ms = waited_ms + math.max(0, now_ms - placement[6])
    rulings[i] = agent.open and 'G' or 'g'
  end
  helds[i] = agent.held
end

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
    deadlines[#deadlines + 1] = agent.first_deadline
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
  redis.call('HINCRBY', 'stats:tasks', 'distribution_ms', waited_ms)
end
if granted + retried + #changed > 0 then
  local held, freed = {}, {}
  for id, agent in pairs(agents) do
    if agent.changed or agent.freed then
      local news = agent.freed and freed or held
      news[#news + 1] = '"' .. id .. '":' .. agent.held
    end
  end
  redis.call('PUBLISH', KEYS[1], '{"seq":' .. redis.call('INCR', 'agents:events')
    .. ',"by":"' .. ARGV[3] .. '","held":{' .. table.concat(held, ',') .. '},"freed":{' .. table.concat(freed, ',') .. '}'
    .. (#changed > 0 and ',"changed":[' .. table.concat(changed, ',') .. ']' or '') .. '}')
end
answer[1] = table.concat(rulings)
answer[2] = table.concat(helds, ',')
return answer
