-- Reads the status of tasks, from the heads of their records alone: results may be large.
-- KEYS   1 the notice channel, unused
-- ARGV   1 ids of tasks, packed
-- Returns one text with a letter for each task, see record.lua, or '-' if it is unknown
local answer = {}
for i, task_id in ipairs(cmsgpack.unpack(ARGV[1])) do
  answer[i] = peek(task_id) or '-'
end
return { table.concat(answer) }
