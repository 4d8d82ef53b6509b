-- Prepended to scripts that grant or end attempts, after notice.lua: what is used of limits. For each limit that is used,
--   limit:{name} is a hash: used: units that live attempts hold; full_at: when the bucket of its rate is full, in us by Redis's clock; period, spent, noted: of
--                its budget; closed_until, in ms by Redis's clock. It is missing if nothing is used
--   held:{name}  is a hash: task_id → units of its live attempt, and the period of the budget, or '-'
--   loose:{name} is a sorted set: task_id:attempt by deadline in ms, of attempts that hold nothing any more, but that their agents may still be working on
--   limits:known is the set of their names, and resources:known of those of resources
-- What attempts take of an agent's resources is counted like units of limits, named @{agent_id}/{resource}, in thousandths: see AgentResource.java.
-- and limits:since is when Redis was complete, in ms by its own clock: nothing is known of before.
-- Guarantee: what an attempt holds is counted once, and no longer than the attempt is live.
local limits = {}
local longest_period_ms, longest_attempt_ms = 2764800000, 259200000
local limits_now_us

local function redis_us()
  if not limits_now_us then
    local time = call('TIME')
    limits_now_us = time[1] * 1000000 + time[2]
  end
  return limits_now_us
end

-- Names and units, in turn, of the limits in the record of an attempt; nothing if it uses none.
local function uses_in(text)
  local at = find(text, '\n{"uses":', head_length, true)
  if not at or at >= last_in(text) then
    return nil
  end
  local uses = {}
  for name, units in string.gmatch(string.match(text, '^{([^}]*)}', at + 9) or '', '"([^"]*)":(%d+)') do
    uses[#uses + 1] = name
    uses[#uses + 1] = tonumber(units)
  end
  return uses
end

local function is_resource(name)
  return byte(name) == 64
end

local function known_key(name)
  return is_resource(name) and 'resources:known' or 'limits:known'
end

local function units_of(held)
  local units, period = string.match(held or '', '^(%d+) (%S+)$')
  return tonumber(units) or 0, period
end

-- What live attempts hold, whatever was counted.
local function count_held(name)
  local used = 0
  for _, held in ipairs(redis.call('HVALS', 'held:' .. name)) do
    used = used + units_of(held)
  end
  return used
end

local function digits_of(units)
  return string.format('%.0f', units)
end

local function load_limit(name)
  local limit = limits[name]
  if not limit then
    local fields = redis.call('HMGET', 'limit:' .. name, 'used', 'full_at', 'period', 'spent', 'noted', 'closed_until')
    limit = {
      is_known = fields[1],
      used = number(fields[1], nil) or count_held(name),
      full_at = number(fields[2], nil),
      period = fields[3] or '',
      spent = number(fields[4], 0),
      noted = number(fields[5], 0),
      closed_until = number(fields[6], 0),
    }
    limits[name] = limit
  end
  return limit
end

-- Counts what the attempt of a task holds, instead of what was counted for it before. Periods are those of budgets, by name.
local function hold(task_id, uses, periods)
  for i = 1, #uses, 2 do
    local name, units = uses[i], uses[i + 1]
    local limit = load_limit(name)
    limit.used = limit.used + units - units_of(redis.call('HGET', 'held:' .. name, task_id))
    redis.call('HSET', 'held:' .. name, task_id, digits_of(units) .. ' ' .. (periods and periods[name] or '-'))
    limit.changed = true
  end
end

-- Notes that the agent of an attempt that ends may still be working on it.
local function note_loose(task, task_id, uses)
  for i = 1, #uses, 2 do
    if not is_resource(uses[i]) then
      local key = 'loose:' .. uses[i]
      redis.call('ZADD', key, digits(deadline_in(task.text)), task_id .. ':' .. task.attempt)
      redis.call('PEXPIRE', key, longest_attempt_ms)
    end
  end
end

-- Notes that the agent has reported on an attempt after all.
local function note_reported(task_id, attempt, uses)
  for i = 1, #uses, 2 do
    if not is_resource(uses[i]) then
      redis.call('ZREM', 'loose:' .. uses[i], task_id .. ':' .. attempt)
    end
  end
end

-- Counts no longer what the attempt of a task holds. With what it really used, by name, if that is known, budgets are corrected.
local function drop(task_id, uses, usage)
  for i = 1, #uses, 2 do
    local name = uses[i]
    local held = redis.call('HGET', 'held:' .. name, task_id)
    if held then
      local limit = load_limit(name)
      local units, period = units_of(held)
      redis.call('HDEL', 'held:' .. name, task_id)
      limit.used = math.max(0, limit.used - units)
      local real = usage and number(usage[name], nil)
      if real and period == limit.period then
        limit.spent = math.max(0, limit.spent + real - units)
      end
      limit.changed = true
    end
  end
end

local function limit_state(name, limit)
  local now_us = redis_us()
  return string.format('"%s":[%.0f,%.2f,"%s",%.0f,%.0f,%.0f]', name, limit.used, (limit.full_at or 0) - now_us, limit.period, limit.spent, limit.noted,
    math.max(0, limit.closed_until - now_us / 1000))
end

-- Writes what has changed. Returns the states of these limits, as members of a JSON object: used, us until the bucket is full, period, spent, noted, and for
-- how many ms it is closed.
local function save_limits()
  local states = {}
  for name, limit in pairs(limits) do
    if limit.changed then
      local now_us = redis_us()
      local full_at = limit.full_at or 0
      if limit.used == 0 and full_at <= now_us and limit.period == '' and limit.closed_until * 1000 <= now_us then
        redis.call('UNLINK', 'limit:' .. name)
        redis.call('SREM', known_key(name), name)
      else
        redis.call('HSET', 'limit:' .. name, 'used', digits_of(limit.used), 'full_at', string.format('%.2f', full_at), 'period', limit.period,
          'spent', digits_of(limit.spent), 'noted', digits_of(limit.noted), 'closed_until', digits_of(limit.closed_until))
        if limit.used > 0 then
          redis.call('PERSIST', 'limit:' .. name)
        else
          -- Forgotten once it makes no difference any more: of a budget, after its period.
          local closed_ms = limit.closed_until - now_us / 1000
          redis.call('PEXPIRE', 'limit:' .. name,
            digits_of(limit.period ~= '' and longest_period_ms or math.max((full_at - now_us) / 1000, closed_ms, 0) + 1000))
        end
        if not limit.is_known then
          redis.call('SADD', known_key(name), name)
        end
      end
      limit.changed, limit.was_changed, limit.is_known = false, true, true
    end
    if limit.was_changed then
      states[#states + 1] = limit_state(name, limit)
    end
  end
  return table.concat(states, ',')
end

-- The member of a notice, if limits have changed.
local function limits_member(states)
  return states ~= '' and ',"limits":{' .. states .. '}' or ''
end

-- Takes from its agent a task whose attempt has ended. Returns the agent.
local function free(task_id, task)
  local agent_id = agent_of(task)
  redis.call('HDEL', 'agent:' .. agent_id .. ':inflight', task_id)
  drop(task_id, uses_in(task.text) or {})
  return agent_id
end

-- Counts a task that had failed permanently and continues.
local function count_redriven()
  redis.call('HINCRBY', 'stats:tasks', 'failed', -1)
  redis.call('HINCRBY', 'stats:tasks', 'redriven', 1)
end

-- Publishes how many assignments each of these agents holds, keys of the table, and the limits that have changed.
local function notify_changes(agent_ids)
  local counts, states = {}, save_limits()
  for agent_id in pairs(agent_ids) do
    counts[#counts + 1] = held_by(agent_id)
  end
  if #counts > 0 then
    notify('"held":{' .. table.concat(counts, ',') .. '}' .. limits_member(states))
  end
end
