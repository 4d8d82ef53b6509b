-- Fences attempts that have no successor, before their dead letters are written: from here on none of their results counts.
-- Guarantee: a dead letter is written only for an attempt that was live. The agent holds the task until release.lua has ended it, so
--        that recovery repeats the step if the caller dies in between.
-- KEYS   1 the notice channel, unused
-- ARGV   for each attempt three: task_id, attempt, agent_id
-- Returns one text with a digit for each attempt: 1 fenced, now or by an earlier call, 0 if it was not live
local ids, answer, records = column(ARGV, 1, 3), {}, {}
local texts = load_texts(ids)
for i, task_id in ipairs(ids) do
  local attempt, agent_id = tonumber(ARGV[3 * i - 1]), ARGV[3 * i]
  local task = known(task_id, texts[i]) or restore_from_agent(task_id, attempt, agent_id)
  local live = task and (task.status == 'assigned' or task.status == 'failing') and task.attempt == attempt and agent_of(task) == agent_id
  if live then
    records[#records + 1] = 'task:' .. task_id
    records[#records + 1] = failing_record(task)
  end
  answer[i] = live and '1' or '0'
end
save(records)
return { table.concat(answer) }
