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
#   GAME_DAY_COORDINATOR='docker kill coordinator-1; sleep 10; docker start coordinator-1' operations/game-day.sh coordinator
#
# AITBC_URL is a coordinator or a load balancer (http://localhost:9001), AITBC_API_KEY a key with role submitter or higher, GAME_DAY_TASK
# the JSON fields of a harmless task that your agents run, GAME_DAY_PER_SECOND the load (5), GAME_DAY_END_SECONDS how long the
# installation may take to recover, and tasks to end after that (300 each).
#
# Needs bash, curl, awk and GNU date. Exit code: 0 if all tasks ended, 1 if one did not or nothing was accepted, 2 if an exercise could
# not be run.
set -euo pipefail

url=${AITBC_URL:-http://localhost:9001}
task=${GAME_DAY_TASK:-'"task_data":{"task_type":"echo"},"requirements":{"capabilities":["echo"]},"timeout_seconds":60'}
per_second=${GAME_DAY_PER_SECOND:-5}
end_seconds=${GAME_DAY_END_SECONDS:-300}
folder=$(mktemp -d)
failed=0
trap 'touch "$folder/stop"; wait; rm -rf "$folder"' EXIT
trap 'exit 2' INT TERM

give_up() {
  echo "$1" >&2
  exit 2
}

# The key is in a file: all users of a machine see the arguments of its processes.
(umask 077 && printf '%s\n' 'Content-Type: application/json' ${AITBC_API_KEY:+"X-API-Key: $AITBC_API_KEY"} >"$folder/headers")

call() {
  curl -s -m 10 -H "@$folder/headers" "$@"
}

# Each line of accepted: time in ms, task id. Each line of refused: time in ms, HTTP status, or 000 without a response.
submit_until_stopped() {
  local number=0 id code
  while [ ! -e "$folder/stop" ]; do
    id="game-day-$1-$number"
    code=$(call -o /dev/null -w '%{http_code}' "$url/tasks/submit" -d "{\"task_id\":\"$id\",$task}") || true
    if [ "$code" = 200 ]; then
      echo "$(date +%s%3N) $id" >>"$folder/accepted"
      number=$((number + 1))
    else
      # The same id again: a submission without a response may have been accepted.
      echo "$(date +%s%3N) $code" >>"$folder/refused"
    fi
    sleep "$(printf '0.%03d' "$((999 / per_second))")"
  done
}

healthy() {
  [ "$(call -o /dev/null -w '%{http_code}' "$url/health" || true)" = 200 ]
}

# The first field of this name: those of the task come before those of its result.
field() {
  grep -o "\"$1\":\"\{0,1\}[^\",}]*" <<<"$2" | head -1 | sed 's/^[^:]*:"\{0,1\}//' || true
}

# Status and last attempt of a task, and the ms from its submission to that attempt; nothing if the coordinators do not know it.
state() {
  local body submitted assigned
  body=$(call "$url/tasks/$1") || return 0
  submitted=$(field submitted_at "$body")
  [ -n "$submitted" ] || return 0
  assigned=$(field assigned_at "$body")
  echo "$(field status "$body") $(field attempt "$body")" \
    "$(($(date -d "${assigned:-$submitted}" +%s%3N) - $(date -d "$submitted" +%s%3N)))"
}

# Waits until all accepted tasks have ended: those that have not are left in the file open.
await_ends() {
  local deadline=$(($(date +%s) + end_seconds)) id status
  cut -d' ' -f2 "$folder/accepted" >"$folder/open"
  : >"$folder/ended"
  while :; do
    : >"$folder/still"
    while read -r id; do
      status=$(state "$id")
      case $status in
      completed* | failed* | cancelled* | expired*) echo "$status" >>"$folder/ended" ;;
      *) echo "$id ${status:-unknown}" >>"$folder/still" ;;
      esac
    done < <(cut -d' ' -f1 "$folder/open")
    mv "$folder/still" "$folder/open"
    if [ ! -s "$folder/open" ] || [ "$(date +%s)" -ge "$deadline" ]; then
      return
    fi
    sleep 2
  done
}

exercise() {
  local name=$1 what=$2 command=$3 from deadline recovered=0
  rm -f "$folder/stop"
  : >"$folder/accepted"
  : >"$folder/refused"
  echo "== $name: $what"
  submit_until_stopped "$name-$(date +%s)" &
  sleep 5
  from=$(date +%s)
  if [ -n "$command" ]; then
    echo "   $command"
    bash -c "$command" || give_up "The command failed."
  else
    read -r -p '   Press Enter when it has been done. ' </dev/tty
  fi
  deadline=$(($(date +%s) + end_seconds))
  until healthy; do
    recovered=-1
    [ "$(date +%s)" -lt "$deadline" ] || break
    sleep 1
  done
  if [ "$recovered" = -1 ] && healthy; then
    recovered=$(($(date +%s) - from))
  fi
  sleep 10
  touch "$folder/stop"
  wait
  await_ends

  echo "   accepted $(wc -l <"$folder/accepted"), completed $(grep -c completed "$folder/ended" || true)," \
    "ended otherwise $(grep -vc completed "$folder/ended" || true), not ended $(wc -l <"$folder/open")"
  echo "   attempted more than once $(awk '$2 > 1' "$folder/ended" | wc -l)," \
    "longest wait for an agent $(awk '$3 > most { most = $3 } END { printf "%.1f", most / 1000 }' "$folder/ended") s"
  echo "   submissions refused $(wc -l <"$folder/refused"), longest time without an accepted one $(longest_gap) s"
  case $recovered in
  0) ;;
  -1)
    echo "   /health has not recovered within $end_seconds s"
    failed=1
    ;;
  *) echo "   /health recovered $recovered s after the exercise began" ;;
  esac
  if [ ! -s "$folder/accepted" ]; then
    echo "   no task was accepted; the last response had status $(tail -1 "$folder/refused" | cut -d' ' -f2)"
    failed=1
  elif [ -s "$folder/open" ]; then
    head -5 "$folder/open" | sed 's/^/   not ended: /'
    failed=1
  fi
}

longest_gap() {
  awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 } END { printf "%.1f", most / 1000 }' "$folder/accepted"
}

[[ $(date +%s%3N) =~ ^[0-9]+$ ]] || give_up 'GNU date is needed.'
[[ $per_second =~ ^[1-9][0-9]{0,2}$ ]] || give_up 'GAME_DAY_PER_SECOND must be from 1 to 999.'
[[ $end_seconds =~ ^[0-9]+$ ]] || give_up 'GAME_DAY_END_SECONDS must be a number.'
[ $# -gt 0 ] || set -- coordinator rolling-restart redis broker agents all
for one in "$@"; do
  [[ $one =~ ^(coordinator|rolling-restart|redis|broker|agents|all)$ ]] ||
    give_up "\"$one\" is not an exercise. See the head of $0."
done
healthy || give_up "$url/health does not answer 200. Begin with a healthy installation."
for one in "$@"; do
  case $one in
  coordinator) exercise "$one" 'kill one coordinator with SIGKILL, and start it again' "${GAME_DAY_COORDINATOR:-}" ;;
  rolling-restart) exercise "$one" 'restart all coordinators, one after another' "${GAME_DAY_ROLLING_RESTART:-}" ;;
  redis) exercise "$one" 'kill the primary Redis, and start it again once a replica has replaced it' "${GAME_DAY_REDIS:-}" ;;
  broker) exercise "$one" 'kill one broker, and start it again' "${GAME_DAY_BROKER:-}" ;;
  agents) exercise "$one" 'kill half of the agents, and start them again' "${GAME_DAY_AGENTS:-}" ;;
  all) exercise "$one" 'kill all coordinators, and start them again after a minute' "${GAME_DAY_ALL:-}" ;;
  esac
done
exit "$failed"
