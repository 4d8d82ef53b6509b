-- Settles results.
-- Guarantee: a task is completed once; a result of an attempt that is not live, or of an unknown task, changes nothing but a
--        counter; while agents' assignments are unknown, nothing is settled and the call fails.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 for each result five, packed: task_id, how its record begins while the attempt is live, agent_id, status, and the progress as JSON,
--        or the last three lines of the record's tail, see record.lua, 3 what attempts really used of limits, as JSON: task_id:attempt → name → units, or ''
-- Returns 1 a text with a letter for each result: c completed, C completed after progress, s settled by this very result before, p progressed, g to be requeued (nothing changed yet),
--        l late, u unknown, 2 the states of limits that have changed, as members of a JSON object, see limits.lua
local now_ms, now = tonumber(ARGV[1]), packed_time(ARGV[1])
local answer = {}
local late = 0
-- Written at the end, in one call for many: the records of tasks, keys and records in turn, and what has ended.
local records, done = {}, {}

-- Track records of agents: as before this batch, updated by it; with the tasks they completed, and the earliest assignment of these.
local tracks = {}

local function load_track(agent_id)
  local seen = redis.call('HMGET', 'agent:' .. agent_id, 'failure_share', 'response_ms', 'results_at')
  local response = tonumber(seen[2]) or 0
  local age_ms = math.max(0, now_ms - number(seen[3], now_ms))
  local track = {
    -- Halves every minute; each result weighs a tenth.
    share = share(seen[1]) * 0.5 ^ (age_ms / 60000),
    -- Three days at most. A higher value is from a version that let it grow without bound.
    response = response == response and math.min(response, longest_attempt_ms) or 0,
    kept = math.exp(-age_ms / 60000),
    longest = 0,
    first = now_ms,
    done = {},
  }
  tracks[agent_id] = track
  return track
end

-- Response time, from assignment to result; a batch counts by its longest, see TrackRecord.java. An unsuccessful attempt counts as ten
-- times the average, at least 10 s: otherwise an agent that fails at once would be the fastest of all. The penalty is capped at a minute,
-- or at the average if that is longer, so that repeated failures do not multiply it.
local function record_failure(agent_id, outcome)
  local track = tracks[agent_id] or load_track(agent_id)
  if outcome == 'failed' then
    track.share = track.share + 0.1 * (1 - track.share)
  end
  track.longest = math.max(track.longest, math.min(10 * track.response, math.max(track.response, 60000)), 10000)
end

-- Settles a result that the short path does not cover. Returns a letter for the answer, and what becomes of the task's record if that changes.
local function settle(task_id, attempt, agent_id, outcome, content, text)
  local task = text and known(task_id, text) or restore_from_agent(task_id, attempt, agent_id)
  local status = task and task.status
  -- A failing attempt was fenced because of this very result: that coordinator died before it wrote the dead letter.
  local live = task and task.attempt == attempt and agent_of(task) == agent_id
    and (status == 'assigned' or status == 'failing' and (outcome == 'failed' or outcome == 'rejected'))
  if not live then
    if status == 'completed' and outcome == status and task.attempt == attempt and agent_of(task) == agent_id
        and sub(task.text, -#content - 1) == '\n' .. content then
      return 's'
    end
    if status then
      late = late + 1
      note_reported(task_id, attempt, uses_in(task.text) or {})
    end
    return status and 'l' or 'u'
  elseif outcome == 'completed' then
    local progress = progress_of(task)
    return progress == '' and 'c' or 'C', ended_record(task, 'c', now, progress .. '\n\n' .. content)
  elseif outcome == 'progress' then
    -- The timeout restarts, see HeldAssignment.java.
    return 'p', progressed_record(task, now, content)
  end
  record_failure(agent_id, outcome)
  return 'g'
end

local usage = ARGV[3] and ARGV[3] ~= '' and cjson.decode(ARGV[3]) or {}
local reports = cmsgpack.unpack(ARGV[2])
local ids = column(reports, 1, 5)
local texts = load_texts(ids)
-- Records of this batch that are not written yet: a task may occur twice.
local changed = {}
for i, task_id in ipairs(ids) do
  local at = 5 * i - 4
  local live, agent_id, outcome, content = reports[at + 1], reports[at + 2], reports[at + 3], reports[at + 4]
  local text, ruling, record = changed[task_id] or texts[i], nil, nil
  if text and outcome == 'completed' and is_plainly_live(text, live, agent_id) then
    ruling, record = 'c', plainly_completed(text, now, content)
  else
    ruling, record = settle(task_id, attempt_in(live), agent_id, outcome, content, text)
  end
  if record then
    changed[task_id] = record
    local n = #records
    records[n + 1] = 'task:' .. task_id
    records[n + 2] = record
  end
  if ruling == 'c' or ruling == 'C' then
    local assignment_id = task_id .. ':' .. attempt_in(live)
    done[#done + 1] = assignment_id
    local uses = uses_in(record)
    if uses then
      drop(task_id, uses, usage[assignment_id])
    end
    local track = tracks[agent_id] or load_track(agent_id)
    track.share = 0.9 * track.share
    track.done[#track.done + 1] = task_id
    local assigned = assigned_in(record)
    if assigned > 0 and assigned < track.first then
      track.first = assigned
    end
  end
  answer[i] = ruling
end
save(records)

if #done > 0 then redis.call('HINCRBY', 'stats:tasks', 'completed', #done) end
if late > 0 then redis.call('HINCRBY', 'stats:tasks', 'late_results', late) end
local counts, news = {}, {}
for agent_id, track in pairs(tracks) do
  local agent, ids = 'agent:' .. agent_id, track.done
  for from = 1, #ids, max_batch do
    redis.call('HDEL', agent .. ':inflight', unpack(ids, from, math.min(#ids, from + max_batch - 1)))
  end
  if #ids > 0 then
    counts[#counts + 1] = held_by(agent_id)
    track.longest = math.max(track.longest, 1, now_ms - track.first)
  end
  -- Results from an agent id that never registered must not create an agent.
  if redis.call('EXISTS', agent) == 1 then
    local response = track.longest
    if response <= track.response then
      response = track.response * track.kept + track.longest * (1 - track.kept)
    end
    local share = string.format('%.4f', track.share)
    response = string.format('%.1f', response)
    redis.call('HSET', agent, 'failure_share', share, 'response_ms', response, 'results_at', ARGV[1])
    news[#news + 1] = '"' .. agent_id .. '":[' .. share .. ',' .. response .. ']'
  end
end
note_ended(done)
local states = save_limits()
if #counts + #news > 0 then
  notify('"at":' .. ARGV[1] .. ',"held":{' .. table.concat(counts, ',') .. '},"tracks":{' .. table.concat(news, ',') .. '}' .. limits_member(states))
end
return { table.concat(answer), states }
