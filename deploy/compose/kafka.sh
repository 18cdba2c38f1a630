#!/bin/bash
# Starts the broker. On data of an earlier run its controller goes first, alone, and notes that the broker was away: one that
# comes back while its old registration holds may leave a transaction open for ever (KAFKA-20734).
set -euo pipefail

fence() {
  local log=/tmp/fence.log controller
  cat >/tmp/fence.properties <<-PROPERTIES
	process.roles=controller
	node.id=$KAFKA_NODE_ID
	controller.quorum.voters=$KAFKA_CONTROLLER_QUORUM_VOTERS
	controller.listener.names=CONTROLLER
	listeners=CONTROLLER://:9093
	listener.security.protocol.map=CONTROLLER:PLAINTEXT
	log.dirs=$KAFKA_LOG_DIRS
	broker.session.timeout.ms=100
	broker.heartbeat.interval.ms=50
	PROPERTIES
  KAFKA_HEAP_OPTS=-Xmx128m KAFKA_LOG4J_OPTS=-Dlog4j2.configurationFile=/deploy/log4j2.yaml \
    /opt/kafka/bin/kafka-server-start.sh /tmp/fence.properties >$log 2>&1 &
  controller=$!
  trap 'kill $controller' TERM
  wait_for "Performing controller activation" 60
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

if [ -e "$KAFKA_LOG_DIRS/meta.properties" ]; then fence; fi
exec /etc/kafka/docker/run
