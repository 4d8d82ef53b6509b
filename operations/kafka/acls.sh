#!/usr/bin/env bash
# Allows a user of Kafka what its role needs, and no more:
#
#   operations/kafka/acls.sh coordinator <user>
#   operations/kafka/acls.sh agent <user> <agent_id>
#   operations/kafka/acls.sh producer <user>
#   operations/kafka/acls.sh reader <user> <group>
#   operations/kafka/acls.sh events <user> <group>
#
# Needs Kafka's kafka-acls.sh on the PATH. AITBC_KAFKA_BOOTSTRAP_SERVERS names the servers, AITBC_KAFKA_CONFIG the client
# properties of an administrator, and AITBC_TOPICS_PREFIX the prefix of topics, if coordinators have one. A group has the same prefix.
set -euo pipefail

if [ $# -lt 2 ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
role=$1
user=$2
prefix=${AITBC_TOPICS_PREFIX:-}
: "${AITBC_KAFKA_BOOTSTRAP_SERVERS:?must name the servers}" "${AITBC_KAFKA_CONFIG:?must name a file of client properties}"

# Kafka takes a * for everyone, or everything, where it is alone, and for itself elsewhere.
for name in "$@"; do
  if [ -z "$name" ] || [[ $name == *\** ]]; then
    echo "\"$name\" is not a name" >&2
    exit 2
  fi
done

allow() {
  kafka-acls.sh --bootstrap-server "$AITBC_KAFKA_BOOTSTRAP_SERVERS" --command-config "$AITBC_KAFKA_CONFIG" \
    --add --allow-principal "User:$user" "$@"
}

case $role in
coordinator)
  # Delete: finished tasks are deleted from their topics, and so are the topics of agents that have left.
  allow --operation Create --operation Read --operation Write --operation Delete --operation DescribeConfigs \
    --topic "${prefix}tasks." --topic "${prefix}assignments." --resource-pattern-type prefixed
  # DescribeConfigs: whether the settings of the topics are safe.
  allow --operation Create --operation Read --operation Write --operation DescribeConfigs \
    --topic "${prefix}agents.heartbeat" --topic "${prefix}coordinator.control" --topic "${prefix}coordinator.keys" \
    --topic "${prefix}coordinator.audit" --topic "${prefix}coordinator.ledger"
  allow --operation Read --group "${prefix}agent-coordinator" --resource-pattern-type prefixed
  # Whether agents read their topics, and what they have not read.
  allow --operation Describe --group "${prefix}agent." --resource-pattern-type prefixed
  ;;
agent)
  id=${3:?must be an agent id}
  allow --operation Read --topic "${prefix}assignments.$id" --group "${prefix}agent.$id"
  allow --operation Write --topic "${prefix}tasks.results" --topic "${prefix}agents.heartbeat"
  ;;
producer)
  allow --operation Write --topic "${prefix}tasks.urgent" --topic "${prefix}tasks.critical" --topic "${prefix}tasks.high" \
    --topic "${prefix}tasks.normal" --topic "${prefix}tasks.low"
  ;;
reader)
  allow --operation Read --topic "${prefix}tasks.results" --topic "${prefix}tasks.dead-letter" --group "${3:?must be a group}"
  ;;
events)
  allow --operation Read --topic "${prefix}tasks.events" --group "${3:?must be a group}"
  ;;
*)
  echo "Unknown role $role" >&2
  exit 2
  ;;
esac
