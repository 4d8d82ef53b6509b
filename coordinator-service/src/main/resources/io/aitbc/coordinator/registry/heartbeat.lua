-- Records heartbeats, and registers agents from heartbeats that hold a registration.
--        An agent that reported itself inactive returns with any heartbeat; a deregistered one only with a registration.
-- Guarantee: the agent's hash, agents:active, agents:known, agents:heartbeats, agents:gone and agents:departed are consistent afterwards, and agents:push;
--        an agent is registered only once its topic exists, and not while its topic from an earlier registration is being removed;
--        an agent with delivery kafka that registers over REST is unreached until one of its own heartbeats arrives over Kafka;
--        a repeated heartbeat that is older than the last one changes nothing; one that cannot be a repetition always counts.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 expiry of a topic removal in ms, 3 the number of registration fields, 4 1 if none of the heartbeats can
--        be a repetition, 5 1 if the agents did not send them: they do not bring back an inactive agent, then for each heartbeat twelve:
--        agent_id, received in ms, received as ISO 8601, status or '', load_metrics as JSON or '', load factor of health or '',
--        shares of processor and memory as 'number,number' or '',
--        instance_id or '', by how many ms the agent's clock is ahead or '', digest of its registration or '',
--        1 if the agent itself sent it over Kafka,
--        1 if its topic exists and that many fields and values follow, 2 if its topic exists and none follow, else 0
-- Returns for each heartbeat 'known'; 'contested' if known, but two processes share this id; 'unknown' if an agent that never
--        registered, or was deregistered, sends no registration; 'register' if it sends a new one, or returns after its topic was
--        removed: repeat the call once the topic is created; 'leaving' while its topic is being removed
local now_ms, removal_ms, registration_fields = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local received_now, implicit = ARGV[4] == '1', ARGV[5] == '1'
local status_factor = { active = 1, busy = 0.9, maintenance = 0.8 }
local status_names = { active = true, busy = true, maintenance = true, inactive = true, stale = true, error = true }
local rivalry_window_ms = 600000
local answer, changed, heard = {}, {}, {}
local unknown = 0

-- If an instance sends a heartbeat after another replaced it, both are running.
local function record_instance(agent, instance, before, at, at_ms)
  local read, former = pcall(cjson.decode, redis.call('HGET', agent, 'former_instances') or '{}')
  if not read or type(former) ~= 'table' then
    quarantine_field(agent, 'former_instances')
    former = {}
  end
  local kept, contested = {}, false
  for id, when in pairs(former) do
    when = number(when, 0)
    if id == instance then
      contested = at_ms > when and at_ms - when < rivalry_window_ms
    elseif at_ms - when < rivalry_window_ms then
      kept[id] = when
    end
  end
  if before then
    kept[before] = at_ms
  end
  redis.call('HSET', agent, 'instance_id', instance, 'former_instances', cjson.encode(kept))
  if contested then
    redis.call('HSET', agent, 'rival_instance', before, 'rival_seen_at', at)
  end
  return contested
end

local function field_value(from, to, name)
  for at = from, to, 2 do
    if ARGV[at] == name then
      return ARGV[at + 1]
    end
  end
end

local i = 6
while i <= #ARGV do
  local id, at_ms, at, status, metrics = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2], ARGV[i + 3], ARGV[i + 4]
  local load_factor, shares, instance, skew = ARGV[i + 5], ARGV[i + 6], ARGV[i + 7], ARGV[i + 8]
  local digest, over_kafka, registers, topic_exists = ARGV[i + 9], ARGV[i + 10] == '1', ARGV[i + 11] == '1', ARGV[i + 11] ~= '0'
  local fields = i + 12
  i = fields
  if registers then
    i = i + registration_fields * 2
  end
  local agent = 'agent:' .. id
  -- Only the fields that every heartbeat needs.
  local before = redis.call('HMGET', agent, 'status', 'failure_share', 'results_at', 'digest', 'topic', 'instance_id', 'heard_ms',
    'said_inactive', 'unreached', 'delivery')
  local old_status, topic, heard_ms = before[1], before[5], number(before[7], 0)
  if old_status and not status_names[old_status] then
    -- Like a silent agent, it becomes active again with its next heartbeat.
    quarantine_field(agent, 'status', 'stale')
    old_status = 'stale'
  end
  if heard_ms > now_ms + max_clock_error_ms then
    quarantine_field(agent, 'heard_ms')
    heard_ms = 0
  end
  local deregistered = old_status == 'inactive' and not before[8]
  local leaving_since = topic and topic ~= 'made' and tonumber(string.match(topic, '^removing (%d+)$'))

  if leaving_since and math.abs(now_ms - leaving_since) < removal_ms then
    answer[#answer + 1] = digest == '' and deregistered and 'unknown' or 'leaving'
  elseif not received_now and (at_ms < heard_ms or at_ms == heard_ms and old_status == 'inactive'
      or digest == '' and status == 'inactive' and deregistered) then
    answer[#answer + 1] = deregistered and status ~= 'inactive' and 'unknown' or 'known'
  elseif implicit and old_status == 'inactive' then
    answer[#answer + 1] = 'known'
  elseif digest == '' and (not old_status or deregistered) then
    unknown = unknown + 1
    answer[#answer + 1] = 'unknown'
  elseif digest ~= '' and not registers and (before[4] ~= digest or topic ~= 'made')
      or old_status == 'inactive' and status ~= 'inactive' and topic ~= 'made' and not topic_exists then
    answer[#answer + 1] = 'register'
  else
    local reaches = before[9] and over_kafka
    if registers then
      local delivery = field_value(fields, i - 1, 'delivery')
      if is_shared(delivery) then
        reaches = before[9]
      elseif not over_kafka and (not old_status or deregistered or is_shared(before[10])) then
        redis.call('HSET', agent, 'unreached', '1')
        redis.call('SADD', 'agents:unreached', id)
      end
      redis.call('HSET', agent, 'digest', digest, 'topic', 'made', unpack(ARGV, fields, i - 1))
      redis.call('HSETNX', agent, 'registration_time', at)
    elseif topic_exists then
      redis.call('HSET', agent, 'topic', 'made')
    end
    if reaches then
      redis.call('HDEL', agent, 'unreached')
      redis.call('SREM', 'agents:unreached', id)
    end
    if status == '' then
      status = old_status
      if not status or status == 'inactive' or status == 'stale' then
        status = 'active'
      end
    end
    if metrics == '' then
      local said = redis.call('HMGET', agent, 'load_metrics', 'load_factor')
      metrics, load_factor = said[1] or '{}', said[2] or '1'
    end
    local share = share(before[2])
    if share > 0 then
      share = share * 0.5 ^ (math.max(0, at_ms - number(before[3], at_ms)) / 60000)
    end
    load_factor = number(load_factor) and load_factor or '1'
    local health = tonumber(load_factor) * (1 - 0.4 * share) * (status_factor[status] or 0)
    redis.call('HSET', agent, 'status', status, 'last_heartbeat', at, 'heard_ms', at_ms < heard_ms and before[7] or ARGV[fields - 11],
      'load_metrics', metrics, 'load_factor', load_factor,
      'health_score', string.format('%.3f', health), skew ~= '' and 'clock_ahead_ms' or 'status', skew ~= '' and skew or status)
    local contested = instance ~= '' and instance ~= before[6] and record_instance(agent, instance, before[6], at, at_ms)

    if status_factor[status] then
      redis.call('ZADD', 'agents:heartbeats', at_ms, id)
    end
    if registers or status ~= old_status then
      if registers or old_status == 'inactive' then
        redis.call('SADD', 'agents:known', id)
        redis.call(redis.call('HGET', agent, 'delivery') == 'push' and 'SADD' or 'SREM', 'agents:push', id)
        redis.call('PERSIST', agent)
      end
      redis.call(status == 'active' and 'SADD' or 'SREM', 'agents:active', id)
      if not status_factor[status] then
        redis.call('ZREM', 'agents:heartbeats', id)
        -- Not when it said so: it may have been given tasks since.
        redis.call('ZADD', 'agents:gone', 'GT', math.max(at_ms, now_ms), id)
      end
    end
    if status == 'inactive' then
      redis.call('HSET', agent, 'said_inactive', '1')
      redis.call('ZADD', 'agents:departed', 'NX', at_ms, id)
    elseif not old_status or old_status == 'inactive' then
      redis.call('HDEL', agent, 'said_inactive')
      redis.call('ZREM', 'agents:departed', id)
    end
    if registers or reaches or status ~= old_status then
      changed[#changed + 1] = '"' .. id .. '"'
    else
      heard[#heard + 1] = '"' .. id .. '":[' .. ARGV[fields - 11] .. (shares ~= '' and ',' .. shares or '') .. ']'
    end
    answer[#answer + 1] = contested and 'contested' or 'known'
  end
end

if unknown > 0 then
  redis.call('HINCRBY', 'stats:agents', 'unknown_heartbeats', unknown)
end
if #changed + #heard > 0 then
  notify('"changed":[' .. table.concat(changed, ',') .. '],"heard":{' .. table.concat(heard, ',') .. '}')
end
return answer
