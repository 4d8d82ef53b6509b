-- Adds assignments to the outboxes of agents without a topic of their own, and notifies their open claims.
-- Guarantee: only live attempts enter an outbox; idempotent; fails while agents' assignments are unknown.
-- KEYS   1 the notice channel, unused
-- ARGV   1 the channel on which claims are notified, 2 expiry of an untouched outbox in ms, then for each assignment four:
--        agent_id, task_id, attempt, the assignment as JSON, or '' to check only whether it is live
-- Returns 1 the state of the index: complete, restored (lately, so that live attempts may still be missing), or rebuilding, only if the
--        call names no assignment, 2 a digit for each assignment: 1 live, 0 ended
if not mark and #ARGV == 2 then
  return { 'rebuilding', '' }
elseif not mark then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
local answer, woken = {}, {}
for i = 3, #ARGV, 4 do
  local agent_id, task_id, attempt, body = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local live = parse_held(redis.call('HGET', 'agent:' .. agent_id .. ':inflight', task_id)) == attempt
  if live and body ~= '' then
    local outbox = 'outbox:' .. agent_id
    redis.call('HSET', outbox, task_id, attempt .. ' ' .. body)
    redis.call('PEXPIRE', outbox, ARGV[2])
    woken[agent_id] = true
  end
  answer[#answer + 1] = live and '1' or '0'
end
for agent_id in pairs(woken) do
  redis.call('PUBLISH', ARGV[1], agent_id)
end
return { redis.call('EXISTS', 'index:restored') == 1 and 'restored' or 'complete', table.concat(answer) }
