#!/usr/bin/env bash
# Rehearses failures on a staging installation: keeps a light load of tasks running while something is stopped, and checks that every
# accepted task ends.
#
#   operations/game-day.sh [exercise...]
#
# Exercises: coordinator, rolling-restart, redis, broker, agents, all; without any, all of them. Each says what to stop and waits for
# Enter, or runs a command that you name: GAME_DAY_COORDINATOR, GAME_DAY_ROLLING_RESTART, GAME_DAY_REDIS, GAME_DAY_BROKER,
# GAME_DAY_AGENTS, GAME_DAY_ALL. Such a command stops the thing, and starts it again:
#
#   GAME_DAY_COORDINATOR='kubectl delete pod coordinator-0 --grace-period=0 --force' operations/game-day.sh coordinator
#
# AITBC_URL is a coordinator or a load balancer (http://localhost:9001), AITBC_API_KEY a key with role submitter or higher, GAME_DAY_TASK
# the JSON fields of a harmless task that your agents run, GAME_DAY_PER_SECOND the load (5), GAME_DAY_END_SECONDS how long tasks may
# take to end afterwards (300). Needs bash and curl. The exit code is 1 if a task was lost or did not end.
set -euo pipefail

url=${AITBC_URL:-http://localhost:9001}
task=${GAME_DAY_TASK:-'"task_data":{"task_type":"echo"},"requirements":{"capabilities":["echo"]},"timeout_seconds":60'}
per_second=${GAME_DAY_PER_SECOND:-5}
end_seconds=${GAME_DAY_END_SECONDS:-300}
folder=$(mktemp -d)
load=
trap '[ -z "$load" ] || kill "$load" 2>/dev/null || true; rm -rf "$folder"' EXIT

call() {
  curl -s -m 10 ${AITBC_API_KEY:+-H "X-API-Key: $AITBC_API_KEY"} -H 'Content-Type: application/json' "$@"
}

# Each line of accepted: time in ms, task id. Each line of refused: time in ms, HTTP status, or 000 without a response.
submit_until_killed() {
  local number=0 id code
  while :; do
    id="game-day-$1-$number"
    code=$(call -o /dev/null -w '%{http_code}' "$url/tasks/submit" -d "{\"task_id\":\"$id\",$task}") || true
    if [ "$code" = 200 ]; then
      echo "$(date +%s%3N) $id" >>"$folder/accepted"
      number=$((number + 1))
    else
      # The same id again: a submission without a response may have been accepted.
      echo "$(date +%s%3N) $code" >>"$folder/refused"
    fi
    sleep "$(LC_ALL=C printf '%.3f' "$((1000 / per_second))e-3")"
  done
}

healthy() {
  [ "$(call -o /dev/null -w '%{http_code}' "$url/health" || true)" = 200 ]
}

# Status and last attempt of a task, and the ms from its submission to that attempt.
state() {
  local body submitted assigned
  body=$(call "$url/tasks/$1") || return 0
  submitted=$(field submitted_at "$body")
  assigned=$(field assigned_at "$body")
  echo "$(field status "$body") $(field attempt "$body")" \
    "$(($(date -d "${assigned:-$submitted}" +%s%3N) - $(date -d "$submitted" +%s%3N)))"
}

field() {
  sed -n "s/.*[{,]\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p" <<<"$2"
}

exercise() {
  local name=$1 what=$2 command=$3 run from healthy_after deadline open status unhealthy=0
  : >"$folder/accepted"
  : >"$folder/refused"
  run="$name-$(date +%s)"
  echo "== $name: $what"
  submit_until_killed "$run" &
  load=$!
  sleep 5
  from=$(date +%s)
  if [ -n "$command" ]; then
    echo "   $command"
    bash -c "$command"
  else
    read -r -p '   Press Enter when it has been done. ' </dev/tty
  fi
  until healthy; do
    unhealthy=1
    sleep 1
  done
  healthy_after=$(($(date +%s) - from))
  sleep 10
  kill "$load"
  wait "$load" 2>/dev/null || true
  load=

  deadline=$(($(date +%s) + end_seconds))
  cut -d' ' -f2 "$folder/accepted" >"$folder/open"
  : >"$folder/ended"
  while [ -s "$folder/open" ] && [ "$(date +%s)" -lt "$deadline" ]; do
    : >"$folder/still"
    while read -r id; do
      status=$(state "$id")
      case $status in
      completed* | failed* | cancelled* | expired*) echo "$status" >>"$folder/ended" ;;
      *) echo "$id ${status:-unknown}" >>"$folder/still" ;;
      esac
    done < <(cut -d' ' -f1 "$folder/open")
    mv "$folder/still" "$folder/open"
    [ ! -s "$folder/open" ] || sleep 2
  done

  echo "   accepted $(wc -l <"$folder/accepted"), completed $(grep -c completed "$folder/ended" || true)," \
    "ended otherwise $(grep -vc completed "$folder/ended" || true), not ended $(wc -l <"$folder/open")"
  echo "   attempted more than once $(awk '$2 > 1' "$folder/ended" | wc -l)," \
    "longest wait for an agent $(awk '$3 > most { most = $3 } END { printf "%.1f", most / 1000 }' "$folder/ended") s"
  echo "   submissions refused $(wc -l <"$folder/refused"), longest time without an accepted one $(longest_gap) s"
  [ "$unhealthy" = 0 ] || echo "   /health was not 200; it was again $healthy_after s after the exercise began"
  if [ -s "$folder/open" ]; then
    head -5 "$folder/open" | sed 's/^/   not ended: /'
    failed=1
  fi
}

longest_gap() {
  awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%.1f", most / 1000 }' "$folder/accepted"
}

failed=0
[ $# -gt 0 ] || set -- coordinator rolling-restart redis broker agents all
healthy || {
  echo "$url/health does not answer 200. Begin with a healthy installation." >&2
  exit 1
}
for one in "$@"; do
  case $one in
  coordinator) exercise "$one" 'kill one coordinator with SIGKILL, and start it again' "${GAME_DAY_COORDINATOR:-}" ;;
  rolling-restart) exercise "$one" 'restart all coordinators, one after another' "${GAME_DAY_ROLLING_RESTART:-}" ;;
  redis) exercise "$one" 'kill the primary Redis, and start it again once a replica has replaced it' "${GAME_DAY_REDIS:-}" ;;
  broker) exercise "$one" 'kill one broker, and start it again' "${GAME_DAY_BROKER:-}" ;;
  agents) exercise "$one" 'kill half of the agents, and start them again' "${GAME_DAY_AGENTS:-}" ;;
  all) exercise "$one" 'kill all coordinators, and start them again after a minute' "${GAME_DAY_ALL:-}" ;;
  *)
    echo "\"$one\" is not an exercise. See the head of $0." >&2
    exit 2
    ;;
  esac
done
exit "$failed"
