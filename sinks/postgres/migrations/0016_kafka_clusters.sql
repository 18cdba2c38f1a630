-- The Kafka cluster that the rows and the sinks' positions belong to. A database remembers one for each topic prefix.
create table eye.kafka_clusters (
    topic_prefix text primary key,
    cluster_id text not null,
    formerly text[] not null default '{}',
    since timestamptz not null default now()
);

comment on table eye.kafka_clusters is 'The Kafka cluster that the rows and the sinks'' positions belong to.';
comment on column eye.kafka_clusters.topic_prefix is 'What stands before the names of the topics (EYE_TOPIC_PREFIX).';
comment on column eye.kafka_clusters.cluster_id is 'The id of the cluster; another one is neither read nor written.';
comment on column eye.kafka_clusters.formerly is 'The ids that were remembered before, until another one was accepted.';
comment on column eye.kafka_clusters.since is 'The time at which this cluster was connected to first, or accepted.';
