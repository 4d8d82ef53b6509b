-- Reads records by the functions that the scripts share.
-- ARGV   records
-- Returns a text for each: its parts, separated by |
local answer = {}
for i, text in ipairs(ARGV) do
  local task = parse_record(text)
  answer[i] = task and table.concat({ task.status, task.attempt, agent_of(task), key_in(text) or '', letter_in(text) == 'q' and position_of(task) or '',
    digits(assigned_in(text)), digits(deadline_in(text)), tail_of(task) }, '|') or 'spoilt'
end
return answer
