-- Changes a record by the functions that the scripts share.
-- ARGV   1 the record, 2 a time in ms, 3 a record that a coordinator has packed, to continue it, 4 progress as JSON, 5 an outcome
-- Returns what becomes of it: continued, with progress, cancelled, fenced, completed; and with progress first: continued, and cancelled
local task, at = parse_record(ARGV[1]), packed_time(ARGV[2])
local progressed = parse_record(progressed_record(task, at, ARGV[4]))
return {
  continue_from(task, ARGV[3]), progressed.text, ended_record(task, 'x', at), failing_record(task),
  plainly_completed(ARGV[1], at, ARGV[5]), continue_from(progressed, ARGV[3]), ended_record(progressed, 'x', at),
}
