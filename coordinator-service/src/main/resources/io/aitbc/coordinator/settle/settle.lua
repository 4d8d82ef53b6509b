-- Settles results.
-- Guarantee: a task is completed once; a result of an attempt that is not live, or of an unknown task, changes nothing but a
--        counter; while agents' assignments are unknown, nothing is settled and the call fails.
-- KEYS   1 the notice channel
-- ARGV   1 now in ms, 2 for each result five, joined: task_id, attempt, agent_id, status, and the progress as JSON, or the last three lines of the
--        record's tail, see record.lua
-- Returns one text with a letter for each result: c completed, p progressed, g to be requeued (nothing changed yet), l late, u unknown
local now_ms, now = tonumber(ARGV[1]), digits(ARGV[1])
local answer = {}
local late = 0
-- Written at the end, in one call for many: the records of tasks, and the completed ones, in total and by agent.
local changed, done, done_by = {}, {}, {}

-- Three days. A higher value is from a version that let it grow without bound.
local longest_attempt_ms = 259200000

-- Track records of agents: as before this batch, updated by it.
local tracks = {}

local function load_track(agent_id)
  local track = tracks[agent_id]
  if not track then
    local seen = redis.call('HMGET', 'agent:' .. agent_id, 'failure_share', 'response_ms', 'results_at')
    local response = tonumber(seen[2]) or 0
    track = { share = share(seen[1]), response = response == response and math.min(response, longest_attempt_ms) or 0 }
    local age_ms = math.max(0, now_ms - number(seen[3], now_ms))
    track.share = track.share * 0.5 ^ (age_ms / 60000)
    track.kept = math.exp(-age_ms / 60000)
    track.longest = 0
    tracks[agent_id] = track
  end
  return track
end

-- Failure share of recent results: halves every minute; each result weighs a tenth.
local function record_outcome(agent_id, failed)
  local track = load_track(agent_id)
  track.share = track.share + 0.1 * (failed - track.share)
end

-- Response time, from assignment to result; a batch counts by its longest, see TrackRecord.java. An unsuccessful attempt counts as ten
-- times the average, at least 10 s: otherwise an agent that fails at once would be the fastest of all. The penalty is capped at a minute,
-- or at the average if that is longer, so that repeated failures do not multiply it.
local function record_response(agent_id, assigned_ms, failed)
  local track = load_track(agent_id)
  if assigned_ms then
    track.longest = math.max(track.longest, 1, now_ms - assigned_ms)
  end
  if failed then
    track.longest = math.max(track.longest, math.min(10 * track.response, math.max(track.response, 60000)), 10000)
  end
end

local reports = split(ARGV[2])
local ids = column(reports, 1, 5)
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local at = 5 * i - 4
  local attempt, agent_id, outcome, content = tonumber(reports[at + 1]), reports[at + 2], reports[at + 3], reports[at + 4]
  local text = changed[task_id] or texts[i]
  local task = text and known(task_id, text) or restore_from_agent(task_id, attempt, agent_id)
  local status = task and task.status
  -- A failing attempt was fenced because of this very result: that coordinator died before it wrote the dead letter.
  local live = task and task.attempt == attempt and agent_of(task) == agent_id
    and (status == 'assigned' or status == 'failing' and (outcome == 'failed' or outcome == 'rejected'))
  if not live then
    if status then
      late = late + 1
    end
    answer[i] = status and 'l' or 'u'
  elseif outcome == 'completed' then
    changed[task_id] = ended_record(task, 'c', now, progress_of(task) .. '\n\n' .. content)
    done[#done + 1] = task_id .. ':' .. reports[at + 1]
    local by = done_by[agent_id] or {}
    done_by[agent_id] = by
    by[#by + 1] = task_id
    record_outcome(agent_id, 0)
    record_response(agent_id, tonumber(assigned_in(task.text)), false)
    answer[i] = 'c'
  elseif outcome == 'progress' then
    -- The timeout restarts, see HeldAssignment.java.
    changed[task_id] = progressed_record(task, now, content)
    answer[i] = 'p'
  else
    if outcome == 'failed' then
      record_outcome(agent_id, 1)
    end
    record_response(agent_id, nil, true)
    answer[i] = 'g'
  end
end
local records = {}
for task_id, text in pairs(changed) do
  records[#records + 1] = 'task:' .. task_id
  records[#records + 1] = text
end
save(records)

if #done > 0 then redis.call('HINCRBY', 'stats:tasks', 'completed', #done) end
if late > 0 then redis.call('HINCRBY', 'stats:tasks', 'late_results', late) end
local counts, news = {}, {}
for agent_id, ids in pairs(done_by) do
  local inflight = 'agent:' .. agent_id .. ':inflight'
  for from = 1, #ids, max_batch do
    redis.call('HDEL', inflight, unpack(ids, from, math.min(#ids, from + max_batch - 1)))
  end
  counts[#counts + 1] = held_by(agent_id)
end
for agent_id, track in pairs(tracks) do
  local agent = 'agent:' .. agent_id
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
if #counts + #news > 0 then
  notify('"at":' .. ARGV[1] .. ',"held":{' .. table.concat(counts, ',') .. '},"tracks":{' .. table.concat(news, ',') .. '}')
end
return { table.concat(answer) }
