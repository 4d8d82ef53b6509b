-- Prepended to every script; replaces redis.call. A key of the wrong type, or a counter that is not a number, is quarantined, and the
-- script continues as if it had never existed. Quarantined data is kept as spoilt:{key} for a week and reported once, see CorruptKeys.java.
-- Guarantee: no error caused by a corrupt key reaches a script. Any other error does, for example when Redis refuses writes.
local server, call = redis, redis.call
local find, sub, byte = string.find, string.sub, string.byte
local quarantine_ttl_s, max_reports, max_quote_length = 604800, 1000, 100
-- Elements of one command: Lua's stack is limited.
local max_batch = 1000
-- Clocks do not deviate this far: a later time was not written by a coordinator.
local max_clock_error_ms = 86400000

local function report(text)
  local reply = server.pcall('RPUSH', 'spoilt:log', text)
  if type(reply) == 'table' then
    if find(reply.err, 'WRONGTYPE', 1, true) then
      call('UNLINK', 'spoilt:log')
    end
    call('RPUSH', 'spoilt:log', text)
  end
  call('LTRIM', 'spoilt:log', -max_reports, -1)
end

local function quarantine(key, why)
  if call('EXISTS', key) == 0 then
    -- This script has done so before.
    return
  end
  local aside = 'spoilt:' .. key
  call('RENAME', key, aside)
  call('EXPIRE', aside, quarantine_ttl_s)
  if key == 'agents:events' then
    -- Do not restart at 1: subscribers that follow the numbers must detect the gap.
    call('SET', key, call('TIME')[1] .. '000')
  end
  report(key .. ' (' .. (why or 'a ' .. call('TYPE', aside).ok) .. ')')
end

-- Removes one field of a hash, or replaces its value.
local function quarantine_field(key, field, instead)
  local value, aside = call('HGET', key, field), 'spoilt:' .. key
  local reply = server.pcall('HSET', aside, field, value)
  if type(reply) == 'table' then
    if find(reply.err, 'WRONGTYPE', 1, true) then
      call('UNLINK', aside)
    end
    call('HSET', aside, field, value)
  end
  call('EXPIRE', aside, quarantine_ttl_s)
  if instead then
    call('HSET', key, field, instead)
  else
    call('HDEL', key, field)
  end
  report(key .. ' ' .. field .. ' (' .. sub(value, 1, max_quote_length) .. ')')
end

local function repair(err, command, key, field)
  if find(err, 'WRONGTYPE', 1, true) then
    quarantine(key)
  elseif find(err, 'not an integer', 1, true) or find(err, 'would overflow', 1, true) then
    if command == 'HINCRBY' then
      quarantine_field(key, field)
    else
      quarantine(key, 'not a number')
    end
  end
end

local redis = setmetatable({
  call = function(command, ...)
    local reply = server.pcall(command, ...)
    if type(reply) == 'table' and reply.err then
      repair(reply.err, command, ...)
      return call(command, ...)
    end
    return reply
  end,
}, { __index = server })

-- Returns a number that is safe for arithmetic.
local function number(text, otherwise)
  local value = tonumber(text)
  return value and value == value and math.abs(value) < 1e300 and value or otherwise
end

-- Returns a number from 0 to 1; 0 if it is none.
local function share(text)
  local value = number(text, 0)
  return value >= 0 and value <= 1 and value or 0
end

-- Every step-th element of a list, such as the ids in the arguments of a batch.
local function column(list, from, step)
  local elements = {}
  for i = from, #list, step do
    elements[#elements + 1] = list[i]
  end
  return elements
end

-- Whether agents with a delivery have no topic of their own, see Delivery.java.
local function is_shared(delivery)
  return delivery == 'pull' or delivery == 'push'
end

-- Names a run of Redis as a primary. Each start and each failover begins another one, and may have lost the last writes. So does the first replica that
-- connects, which has lost none.
local function replication_id()
  return string.match(call('INFO', 'replication'), 'master_replid:(%x+)') or '-'
end

-- Whether a coordinator still holds the lock for rebuilding the index, and Redis is the one in which it took it. Its name ends with the replication id.
local function holds_rebuild_lock(owner)
  local id = string.match(owner, ' (%x+)$')
  return call('GET', 'index:rebuilding') == owner and (not id or id == replication_id())
end

-- Takes an exclusive claim, which expires; returns false if another holds it. A key that does not expire is no claim.
local function acquire(key, holder, ttl_ms)
  local acquired = redis.call('SET', key, holder, 'NX', 'PX', ttl_ms)
  if not acquired and redis.call('PTTL', key) == -1 then
    quarantine(key, 'a claim that does not expire')
    acquired = redis.call('SET', key, holder, 'NX', 'PX', ttl_ms)
  end
  return acquired
end
