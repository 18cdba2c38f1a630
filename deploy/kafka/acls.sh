#!/bin/sh
# What each part of The Eye may do in Kafka, and nothing beyond. Can be run any number of times.
#
#   KAFKA_ACLS="kafka-acls.sh --bootstrap-server kafka:9093 --command-config admin.properties" ./acls.sh
#
# EYE_TOPIC_PREFIX and EYE_GROUP are those of the deployment. Users: eye-topics (`eye topics create`), eye-gateway,
# eye-stream, eye-sinks, eye-operator (people: lag, ledger, trace, doctor, replay, redrive).
set -eu
: "${KAFKA_ACLS:?the command, with how to reach the cluster as one who may alter it}"
raw=${EYE_TOPIC_PREFIX:-}events.raw
validated=${EYE_TOPIC_PREFIX:-}events.validated
rejected=${EYE_TOPIC_PREFIX:-}events.rejected
sessions=${EYE_TOPIC_PREFIX:-}sessions
group=${EYE_GROUP:-}

allow() {
  user=$1
  shift
  $KAFKA_ACLS --add --allow-principal "User:$user" "$@"
}

# makes the topics, and holds them against what is expected
allow eye-topics --operation Create --operation Describe --operation DescribeConfigs \
  --topic "$raw" --topic "$validated" --topic "$rejected" --topic "$sessions"

# DescribeConfigs: the largest batch that a topic takes
allow eye-gateway --operation Write --operation Describe --operation DescribeConfigs --topic "$raw"
# GET /events/{event_id}/trace looks the event up in the topics, up to where the stream has come
allow eye-gateway --operation Read --topic "$raw"
allow eye-gateway --operation Read --operation Describe --topic "$validated" --topic "$rejected"
allow eye-gateway --operation Describe --group "${group}eye-stream"

# reads raw records; writes results in transactions, and reads them back when it takes a partition over
allow eye-stream --operation Read --operation Describe --topic "$raw"
allow eye-stream --operation Read --operation Write --operation Describe --operation DescribeConfigs \
  --topic "$validated" --topic "$rejected" --topic "$sessions"
allow eye-stream --operation Read --group "${group}eye-stream"
allow eye-stream --operation Write --operation Describe \
  --transactional-id "${group}eye-stream-" --resource-pattern-type prefixed

allow eye-sinks --operation Read --operation Describe --topic "$validated" --topic "$rejected" --topic "$sessions"
allow eye-sinks --operation Read --group "${group}eye-sinks"

# reads all topics and positions; a replay or redrive publishes verdicts again, under a transactional id and a group of its run
allow eye-operator --operation Read --operation Describe --operation DescribeConfigs \
  --topic "$raw" --topic "$validated" --topic "$rejected" --topic "$sessions"
allow eye-operator --operation DescribeConfigs --cluster
allow eye-operator --operation Write --topic "$validated" --topic "$rejected"
allow eye-operator --operation Describe --group "${group}eye-stream" --group "${group}eye-sinks"
allow eye-operator --operation Read --operation Describe --group "${group}eye-replay-" --resource-pattern-type prefixed
allow eye-operator --operation Write --operation Describe \
  --transactional-id "${group}eye-replay-" --resource-pattern-type prefixed
