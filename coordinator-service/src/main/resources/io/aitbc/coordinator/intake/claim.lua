-- Lets one of several who submit tasks of the same ids at the same time put each into its queue.
-- Guarantee: while a claim lasts nobody else gets it; a task of which it is known that it was accepted cannot be claimed.
-- ARGV   1 for how many ms a claim lasts, should whoever holds it die; then the ids
-- Returns for each id three texts: status, priority and submitted_at of a task that was accepted before; 'claimed' and twice '';
--        'busy' and twice '' while another has the claim
local answer = {}
for i = 2, #ARGV do
  local seen = redis.call('HMGET', 'task:' .. ARGV[i], 'status', 'priority', 'submitted_at')
  if seen[3] then
    answer[#answer + 1] = seen[1] or 'unknown'
    answer[#answer + 1] = seen[2] or ''
    answer[#answer + 1] = seen[3]
  else
    local claimed = redis.call('SET', 'submission:' .. ARGV[i], '1', 'NX', 'PX', ARGV[1])
    answer[#answer + 1] = claimed and 'claimed' or 'busy'
    answer[#answer + 1] = ''
    answer[#answer + 1] = ''
  end
end
return answer
