-- Prepended to every script, after record.lua: notices to the coordinators.

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
