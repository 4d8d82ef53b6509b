#!/usr/bin/env bash
# Deletes from Redis what is left of a tenant's ended tasks, or lists its tasks that have not ended:
#
#   operations/redis/erase-tenant.sh erase <fairness_key> [options of redis-cli]
#   operations/redis/erase-tenant.sh list <fairness_key> [options of redis-cli]
#
# Unfinished tasks are kept: cancel them first. With Sentinel, the options must name the primary.
set -euo pipefail
shopt -s inherit_errexit

if [ $# -lt 2 ] || [ -z "$2" ] || { [ "$1" != erase ] && [ "$1" != list ]; }; then
  sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
mode=$1
key=$2
shift 2

# A thousand keys at a time: Redis serves nobody else meanwhile.
script='
local answer = {}
for _, task in ipairs(KEYS) do
  -- The record of a task: a head of 42 bytes that begins with format and status, then its agent and fairness key, a line each.
  local record = redis.pcall("GETRANGE", task, 0, 999)
  local status, key = string.match(type(record) == "string" and record or "", "^2(%l)" .. string.rep("%w", 40) .. "[^\n]*\n([^\n]*)\n")
  if key == ARGV[1] then
    if string.find("qruag", status, 1, true) then
      answer[#answer + 1] = "unfinished " .. task
    elseif ARGV[2] == "erase" then
      redis.call("UNLINK", task)
      answer[#answer + 1] = "erased " .. task
    end
  end
end
return answer'

found=$(redis-cli "$@" --raw --scan --pattern 'task:*' | {
  while mapfile -t -n 1000 tasks && [ ${#tasks[@]} -gt 0 ]; do
    redis-cli "$@" -e --raw EVAL "$script" ${#tasks[@]} "${tasks[@]}" "$key" "$mode" </dev/null
  done
})
unfinished=$(sed -n 's/^unfinished task://p' <<<"$found")
if [ "$mode" = list ]; then
  [ -z "$unfinished" ] || echo "$unfinished"
  exit 0
fi
if [ -n "$unfinished" ]; then
  sed 's/^/Not ended: /' <<<"$unfinished" >&2
else
  redis-cli "$@" -e --raw UNLINK "waiting:$key" >/dev/null
fi
echo "Erased the state of $(grep -c '^erased ' <<<"$found" || true) tasks."
