-- Claims submitted tasks, so that only one of several concurrent submitters of an id enqueues it.
-- Guarantee: a claim is exclusive until it is released or expires; a task known to be accepted cannot be claimed.
-- ARGV   1 the holder, 2 expiry of a claim in ms, in case its holder dies; then the ids
-- Returns for each id the record of a task accepted earlier, see record.lua; 'claimed'; or 'busy' while another submitter has the claim
local ids, answer = column(ARGV, 3, 1), {}
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local task = known(task_id, texts[i])
  -- One restored from its agent's assignments alone may not have been accepted under the terms asked for.
  if task and string.match(task.text, '^[^\n]*\n[^\n]*\n[^\n]*\n[^\n]*\n[^\n]', head_length + 1) then
    answer[i] = string.sub(task.text, 1, task.last)
  else
    answer[i] = acquire('submission:' .. task_id, ARGV[1], ARGV[2]) and 'claimed' or 'busy'
  end
end
return answer
