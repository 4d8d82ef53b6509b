-- Answers a claim of an agent, or of the coordinator that pushes to it, with assignments from its outbox, or opens it.
-- Guarantee: an assignment is served only while its attempt is live; one that was served and not confirmed is served again, to the same
--        instance at once, to another one after ten seconds; an instance has at most one open claim; fails while agents' assignments
--        are unknown.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 agent_id, 3 instance_id, 4 the claim's own id, 5 the maximum number of assignments, 6 the maximum number of
--        bytes, 7 for how many ms the claim stays open if there are none; 0 to end it, 8 1 if it is new, 9 the ids of assignments
--        received, as JSON, 10 the channel on which claims are notified, 11 expiry in ms of what is kept about served assignments,
--        12 the delivery expected: pull or push, 13 the ids of assignments not to serve, as JSON
-- Returns 1 served, open, ended (by a newer claim of its instance), unknown (no such agent) or other (another delivery), 2 the ids of
--        cancelled assignments that the instance may be working on, as JSON, 3 the ids of those assignments that were served before, or
--        may have been, as JSON, then the assignments
local now_ms, agent_id, instance, claim_id = tonumber(ARGV[1]), ARGV[2], ARGV[3], ARGV[4]
local max, max_bytes, open_ms, is_new = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8] == '1'
local redelivery_ms, notice_ms = 10000, 60000
local agent, inflight = 'agent:' .. agent_id, 'agent:' .. agent_id .. ':inflight'
-- Task id -> attempt and the assignment, unconfirmed.
local outbox = 'outbox:' .. agent_id
-- Task id -> attempt, time served in ms, time when the instance was first notified of its end in ms or 0, instance.
local served = 'served:' .. agent_id
-- Instance -> id of its open claim, maximum number of assignments, and end in ms.
local claims = 'claims:' .. agent_id

local seen = redis.call('HMGET', agent, 'agent_id', 'delivery', 'open_slots', 'open_until')
if not seen[1] then
  return { 'unknown', '[]', '[]' }
elseif seen[2] ~= ARGV[12] then
  return { 'other', '[]', '[]' }
end

-- Invariant: open_slots is the maximum of all open claims, less what was reserved for them since.
local before = number(seen[3], 0)
local open = before

local function close_claim(by, delivered)
  local wanted = string.match(redis.call('HGET', claims, by) or '', ' (%d+) ')
  redis.call('HDEL', claims, by)
  open = math.max(0, open - math.max(0, (tonumber(wanted) or 0) - delivered))
end

local entries = redis.call('HGETALL', claims)
for i = 1, #entries, 2 do
  -- Its coordinator has died, or it could not reach Redis.
  if number(string.match(entries[i + 1], ' (%d+)$'), 0) < now_ms then
    close_claim(entries[i], 0)
  end
end
local current = string.match(redis.call('HGET', claims, instance) or '', '^(%S+)')
if current and current ~= claim_id then
  if not is_new then
    return { 'ended', '[]', '[]' }
  end
  close_claim(instance, 0)
  current = nil
  redis.call('PUBLISH', ARGV[10], agent_id .. ' ' .. instance .. ' ' .. claim_id)
end

local function attempt_in_outbox(task_id)
  return string.match(redis.call('HGET', outbox, task_id) or '', '^(%d+) ')
end

local held = {}
local function live_attempt(task_id)
  if held[task_id] == nil then
    local attempt, since = parse_held(redis.call('HGET', inflight, task_id))
    held[task_id] = attempt and { attempt = attempt, since = since } or false
  end
  return held[task_id]
end

local function parse(entry)
  local attempt, at, notified, by = string.match(entry, '^(%d+) (%d+) (%d+) (%S+)$')
  return attempt, tonumber(at), tonumber(notified), by
end

for _, id in ipairs(cjson.decode(ARGV[9])) do
  local task_id, attempt = string.match(id, '^(.*):(%d+)$')
  if task_id and attempt_in_outbox(task_id) == attempt then
    redis.call('HDEL', outbox, task_id)
  end
end

local cancelled, has_new_cancellation = {}, false
local last_served = {}
entries = redis.call('HGETALL', served)
for i = 1, #entries, 2 do
  local task_id = entries[i]
  local attempt, at, notified, by = parse(entries[i + 1])
  local live = live_attempt(task_id)
  if live and live.attempt == attempt then
    last_served[task_id] = { at = at, by = by, attempt = attempt }
  else
    -- Its attempt has ended; if by a result, the instance has reported it.
    local letter, latest = peek(task_id)
    local lost = attempt and (letter == 'x' or (latest or 0) > tonumber(attempt))
    if not lost or notified > 0 and now_ms - notified > notice_ms then
      redis.call('HDEL', served, task_id)
    elseif by == instance or seen[2] == 'push' then
      -- An agent that is pushed to has no instances, and another coordinator may be pushing to it now.
      -- For a minute, because an answer may get lost. Only the first time ends the wait.
      cancelled[#cancelled + 1] = task_id .. ':' .. attempt
      if notified == 0 then
        has_new_cancellation = true
        redis.call('HSET', served, task_id, attempt .. ' ' .. at .. ' ' .. now_ms .. ' ' .. by)
      end
    end
  end
end

local skipped = {}
for _, id in ipairs(cjson.decode(ARGV[13])) do
  skipped[id] = true
end
-- What was assigned before Redis was emptied may have been served: nothing is known about that.
local known_since = string.match(mark, '%d+', 3)
local due = {}
for _, task_id in ipairs(redis.call('HKEYS', outbox)) do
  local live, last = live_attempt(task_id), last_served[task_id]
  if not live then
    redis.call('HDEL', outbox, task_id)
  elseif not skipped[task_id .. ':' .. live.attempt]
      and (not last or last.by == instance or math.abs(now_ms - last.at) >= redelivery_ms) then
    -- Only now: the entry holds the whole assignment.
    if attempt_in_outbox(task_id) == live.attempt then
      due[#due + 1] = { task_id = task_id, attempt = live.attempt, since = live.since, is_new = not last }
    else
      redis.call('HDEL', outbox, task_id)
    end
  end
end
table.sort(due, function(one, other)
  return one.since < other.since or one.since == other.since and one.task_id < other.task_id
end)

local answer, bytes, delivered, redelivered = { 'served', '[]', '[]' }, 0, 0, {}
for _, one in ipairs(due) do
  local body = string.gsub(redis.call('HGET', outbox, one.task_id), '^%d+ ', '', 1)
  bytes = bytes + #body
  if #answer - 3 >= max or #answer > 3 and bytes > max_bytes then
    break
  end
  answer[#answer + 1] = body
  redis.call('HSET', served, one.task_id, one.attempt .. ' ' .. ARGV[1] .. ' 0 ' .. instance)
  if one.is_new then
    delivered = delivered + 1
  end
  if not one.is_new or one.since < known_since then
    redelivered[#redelivered + 1] = one.task_id .. ':' .. one.attempt
  end
end
if #answer > 3 then
  redis.call('PEXPIRE', served, ARGV[11])
end
if #cancelled > 0 then
  answer[2] = cjson.encode(cancelled)
end
if #redelivered > 0 then
  answer[3] = cjson.encode(redelivered)
end

if #answer > 3 or has_new_cancellation or open_ms == 0 then
  if current then
    close_claim(instance, delivered)
  end
else
  answer[1] = 'open'
  if not current then
    open = open + max
  end
  local until_ms = now_ms + open_ms
  redis.call('HSET', claims, instance, claim_id .. ' ' .. max .. ' ' .. until_ms)
  redis.call('PEXPIRE', claims, ARGV[11])
  redis.call('HSET', agent, 'open_until', math.max(until_ms, number(seen[4], 0)))
end
if redis.call('EXISTS', claims) == 0 then
  open = 0
end
if open ~= before then
  redis.call('HSET', agent, 'open_slots', open)
end
if open ~= before or answer[1] == 'open' and not is_new then
  -- Repeated while a claim is open: coordinators' counts of open slots may be outdated.
  notify('"open":{"' .. agent_id .. '":' .. open .. '}')
end
return answer
