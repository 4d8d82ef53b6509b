-- Reads what is used of limits.
-- KEYS   1 the notice channel, unused
-- ARGV   names of limits
-- Returns one text for each that is used: a member of a JSON object, see limits.lua
local states = {}
for _, name in ipairs(ARGV) do
  local limit = load_limit(name)
  if limit.is_known then
    states[#states + 1] = limit_state(name, limit)
  end
end
return states
