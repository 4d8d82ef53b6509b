-- Claims submitted tasks, so that only one of several concurrent submitters of an id enqueues it.
-- Guarantee: a claim is exclusive until it is released or expires; a task known to be accepted cannot be claimed.
-- ARGV   1 the holder, 2 expiry of a claim in ms, in case its holder dies; then the ids
-- Returns four texts per id: status, priority, submitted_at and fairness key, or '', of a task accepted earlier; 'claimed' and three
--        times ''; 'busy' and three times '' while another submitter has the claim
local answer = {}
for i = 3, #ARGV do
  local seen = redis.call('HMGET', 'task:' .. ARGV[i], 'status', 'priority', 'submitted_at', 'fairness_key')
  if seen[3] then
    answer[#answer + 1] = seen[1] or 'unknown'
    answer[#answer + 1] = seen[2] or ''
    answer[#answer + 1] = seen[3]
    answer[#answer + 1] = seen[4] or ''
  else
    answer[#answer + 1] = acquire('submission:' .. ARGV[i], ARGV[1], ARGV[2]) and 'claimed' or 'busy'
    answer[#answer + 1] = ''
    answer[#answer + 1] = ''
    answer[#answer + 1] = ''
  end
end
return answer
