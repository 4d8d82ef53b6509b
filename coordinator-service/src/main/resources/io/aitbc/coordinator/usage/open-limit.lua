-- Lets a limit give units again that an agent has closed.
-- KEYS   1 the notice channel
-- ARGV   1 name of the limit
-- Returns nothing
local limit = load_limit(ARGV[1])
if limit.closed_until > 0 then
  limit.closed_until, limit.changed = 0, true
  notify('"held":{}' .. limits_member(save_limits()))
end
return {}
