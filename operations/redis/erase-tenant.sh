#!/usr/bin/env bash
# Deletes from Redis what is left of a tenant's ended tasks:
#
#   operations/redis/erase-tenant.sh <fairness_key> [options of redis-cli]
#
# Unfinished tasks are kept, and named: cancel them first.
set -euo pipefail

key=${1:?a fairness_key}
shift

erased=0
unfinished=0
while read -r task; do
  if [ "$(redis-cli "$@" --raw TYPE "$task")" != hash ] || [ "$(redis-cli "$@" --raw HGET "$task" fairness_key)" != "$key" ]; then
    continue
  fi
  case $(redis-cli "$@" --raw HGET "$task" status) in
  queued | assigned | failing)
    echo "Not ended: ${task#task:}" >&2
    unfinished=$((unfinished + 1))
    ;;
  *)
    redis-cli "$@" --raw UNLINK "$task" >/dev/null
    erased=$((erased + 1))
    ;;
  esac
done < <(redis-cli "$@" --raw --scan --pattern 'task:*')
if [ "$unfinished" = 0 ]; then
  redis-cli "$@" --raw UNLINK "waiting:$key" >/dev/null
fi
echo "Erased the state of $erased tasks."
