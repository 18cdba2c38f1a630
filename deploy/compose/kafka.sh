#!/bin/bash
# Starts the broker. On data of an earlier run its controller goes first, alone, and notes that the broker was away: one that
# comes back while its old registration holds may leave a transaction open for ever (KAFKA-20734).
set -euo pipefail

fence() {
  local log=/tmp/fence.log controller
  env --unset=KAFKA_ADVERTISED_LISTENERS KAFKA_PROCESS_ROLES=controller KAFKA_LISTENERS=CONTROLLER://:9093 \
    KAFKA_BROKER_SESSION_TIMEOUT_MS=100 KAFKA_BROKER_HEARTBEAT_INTERVAL_MS=50 KAFKA_HEAP_OPTS=-Xmx128m \
    KAFKA_LOG4J_LOGGERS=org.apache.kafka.controller=INFO \
    /etc/kafka/docker/run >$log 2>&1 &
  controller=$!
  trap 'kill $controller' TERM
  wait_for "Performing controller activation" 30
  wait_for "Fencing broker" 5 # which it does not when the broker was killed while it started
  wait_for "fenced=1" 1
  kill $controller
  wait $controller || true
  trap - TERM
}

wait_for() {
  local tries=$(($2 * 10))
  until grep -q "$1" /tmp/fence.log || [ $((tries--)) = 0 ]; do sleep 0.1; done
}

if [ -e /var/lib/kafka/data/meta.properties ]; then fence; fi
exec /etc/kafka/docker/run
