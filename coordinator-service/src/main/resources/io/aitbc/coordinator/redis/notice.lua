-- Prepended to every script, after record.lua: notices to the coordinators, and notes of events.

-- Publishes a notice, with its number. Its members are JSON.
local function notify(members)
  redis.call('PUBLISH', KEYS[1], '{"seq":' .. redis.call('INCR', 'agents:events') .. ',' .. members .. '}')
end

-- The member that says how many assignments an agent holds.
local function held_by(agent_id)
  return '"' .. agent_id .. '":' .. redis.call('HLEN', 'agent:' .. agent_id .. ':inflight')
end

local function notify_held(agent_id)
  notify('"held":{' .. held_by(agent_id) .. '}')
end

-- Notes an event that the caller is about to publish, so that it is published even if the caller dies, see EventOutbox.java. The time is in ms; what else
-- the event says depends on its kind.
local function note_event(task_id, attempt, kind, ms, text)
  redis.call('HSET', 'tasks:unpublished-events', task_id .. ':' .. attempt .. ':' .. kind, ms .. ' ' .. text)
end
