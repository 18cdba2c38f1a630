"""The settings: environment variables `EYE_...`, read once and passed on."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)

from schemas.catalogue import load_catalogue
from schemas.kafka_settings import KafkaSettings
from schemas.record import UnknownTypes
from schemas.rules import Rules
from schemas.settings_error import SettingsError as SettingsError

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, le=10 * 365 * 86_400)]
LogFormat = Literal["auto", "json", "text"]
ReadScope = Literal["all", "own"]

SECRETS_DIR = "/run/secrets"
"""Directory of files with settings, unless EYE_SECRETS_DIR names another one."""


class Settings(KafkaSettings):
    """Every setting, with its default; `EYE_` and the name in capitals is its environment variable.

    A setting without a variable is read from the file of that name in the secrets directory, if there is one.
    """

    # addresses and directories
    data_dir: Path = Field(Path(".eye"), description="Directory of the local stack, its key and its locks.")
    postgres_dsn: SecretStr | None = Field(
        None, description="Connection string of Postgres. Empty: `eye up` starts one on this machine."
    )
    postgres_read_dsn: SecretStr | None = Field(
        None,
        description="Connection string for the gateway's reads: a replica, a role of its own. Empty: the same.",
    )
    topic_prefix: str = Field("", description="Put before the name of each topic.")
    group: str = Field("", description="Put before the name of each consumer group.")

    # topics
    partitions: Count = Field(6, description="Partitions of each topic, when it is created.")
    replication_factor: Count | None = Field(
        None, description="Replicas of each topic, when it is created. Empty: 3, or as many as there are brokers."
    )
    min_insync_replicas: Count | None = Field(
        None, description="Replicas that have to hold a record before it counts. Empty: 2 of three or more, else 1."
    )
    raw_retention_hours: Count = Field(168, description="How long `events.raw` is kept; bounds what can be replayed.")
    validated_retention_hours: Count = Field(168, description="How long `events.validated` is kept.")
    rejected_retention_hours: Count = Field(720, description="How long `events.rejected` is kept.")

    # Postgres
    events_retention_days: Count | None = Field(
        None, description="How long events are kept, by month; no shorter than in Kafka. Empty: for ever."
    )
    rejected_retention_days: Count | None = Field(
        None, description="How long rejected events are kept; no shorter than in Kafka. Empty: for ever."
    )
    sessions_retention_days: Count | None = Field(
        None,
        description="How long sessions are kept after their last change; no shorter than raw records. Empty: for ever.",
    )

    # gateway
    gateway_host: str = Field("127.0.0.1", description="Address the gateway listens on.")
    gateway_port: Port = Field(8080, description="Port the gateway listens on; 0: any that is free.")
    gateway_admin_port: Port | None = Field(
        None,
        description="Port of the gateway for `/metrics` and the details of `/readyz`, in plain HTTP; the other port"
        " then has neither. Empty: no port of their own.",
    )
    tls_certfile: Path | None = Field(
        None,
        description="The gateway's certificate and those that link it to an authority (PEM): it speaks HTTPS."
        " Read again when it changes. Empty: it speaks HTTP.",
    )
    tls_keyfile: Path | None = Field(
        None, description="Key of that certificate (PEM, without a password). Empty: in the certificate's file."
    )
    tls_client_cafile: Path | None = Field(
        None, description="Authorities (PEM) one of which has to have signed a client's certificate. Empty: none asked."
    )
    trusted_proxies: Annotated[list[str], NoDecode] = Field(
        [],
        description="Addresses and networks of proxies whose X-Forwarded-For, -Proto, -Host and -Prefix count,"
        " separated by commas. Empty: nobody's.",
    )
    applications: Path | None = Field(
        None, description="applications.toml with the keys. Empty: `applications.toml` in the data directory."
    )
    max_event_bytes: int = Field(
        64 * 1024, ge=1, le=256 * 1024, description="Largest event, as JSON; at most 262144: a rejected one is longer."
    )
    max_request_bytes: Count = Field(5 * 1024 * 1024, description="Largest request body, after decompression.")
    max_request_events: Count = Field(5_000, description="Most events of one request.")
    acknowledge_seconds: Annotated[float, Field(gt=0, lt=2)] = Field(
        1.5, description="How long a request waits until its events are durable before it is answered with 503."
    )
    spool_after_seconds: Annotated[float, Field(gt=0, lt=2)] = Field(
        1.0, description="How long Kafka may take to acknowledge an event before it goes to the spool on disk."
    )
    spool_dir: Path | None = Field(
        None, description="Directory of the spools, on a disk of its own maybe. Empty: `spool` in the data directory."
    )
    spool_max_bytes: int = Field(
        1024 * 1024 * 1024, ge=0, description="Most bytes in the spool of a gateway process; 0: no spool."
    )
    max_connections: Count = Field(
        10_000, description="Most connections of a gateway; beyond it the one that has waited longest is closed."
    )
    max_requests_under_way: Count = Field(2_000, description="Most requests a gateway answers at once; beyond it 503.")
    max_bytes_under_way: Count = Field(
        32 * 1024 * 1024,
        description="Most bytes of events a gateway holds at once, 2 KiB more counted for each event; beyond it 503.",
    )
    read_scope: ReadScope = Field(
        "all",
        description="What a key of scope `read` may read: `all` events, or its `own` application's.",
    )
    stream_readers: Count = Field(
        64, description="How many readers of `GET /events/stream` a gateway process has at once."
    )
    idle_seconds: Seconds = Field(75.0, description="How long a connection may wait for its next request.")
    head_seconds: Seconds = Field(10.0, description="How long the head of a request may take to come.")
    transfer_seconds: Seconds = Field(
        30.0, description="How long a request's body may take to come, and its answer to be read."
    )
    postgres_read_connections: Count = Field(4, description="Connections of the gateway's pool for reads.")
    statement_timeout_seconds: Seconds = Field(5.0, description="Longest a read may take in Postgres.")

    # rules
    event_types: Annotated[list[str], NoDecode] = Field(
        ["schemas.event_types"], description="Packages and directories with event types, separated by commas."
    )
    published_types: Path | None = Field(
        None, description="Directory of `eye schemas export`: a catalogue that breaks it never judges. Empty: any does."
    )
    accepted_breaks: Annotated[list[str], NoDecode] = Field(
        [], description="Versions that may break it, as category/name/version, separated by commas."
    )
    unknown_event_types: UnknownTypes = Field(
        "reject",
        description="What becomes of an event whose type the catalogue lacks, where its application states nothing.",
    )
    max_future_seconds: Seconds = Field(60.0, description="How far a timestamp may be ahead of its reception.")
    max_age_seconds: Seconds | None = Field(
        None, description="How far a timestamp may be behind its reception. Empty: any age."
    )
    clock_skew_seconds: Seconds | None = Field(
        60.0,
        description="How far `sent_at` may be off from the reception before timestamps are corrected. Empty: never.",
    )

    # stream and sinks
    session_gap_seconds: Seconds = Field(
        1800.0, description="A session closes when this long nothing came for it while its partition went on."
    )
    duplicate_window_seconds: Seconds = Field(
        600.0, description="How long the stream remembers an event_id, to drop the same event sent again."
    )
    duplicate_window_events: Count = Field(
        200_000,
        description="How many event_ids the stream remembers a partition (about 150 bytes each),"
        " and as many of rejected events.",
    )
    fetch_bytes: Count = Field(4 * 1024 * 1024, description="Most bytes a worker takes from a partition at once.")
    postgres_write_connections: Count = Field(4, description="Connections of a sink worker's pool.")
    max_refused_share: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Largest share of a chunk that is set aside when Postgres refuses it; beyond, the sink waits."
    )
    instance: str | None = Field(
        None, description="Name of this worker in its consumer group. Empty: made of host, data directory and a number."
    )
    gateway_urls: Annotated[list[str] | None, NoDecode] = Field(
        None,
        description="Addresses of all gateways, for the commands that ask them. Empty: the gateway of the settings.",
    )
    gateway_cafile: Path | None = Field(
        None,
        description="Authorities (PEM) by which these commands verify gateways that speak HTTPS. Empty: the system's;"
        " a gateway of this machine is known by its own certificate.",
    )
    gateway_client_certfile: Path | None = Field(
        None, description="Certificate and key (PEM) that these commands show to gateways that ask for one."
    )
    worker_host: str = Field("127.0.0.1", description="Address of the workers' status page.")
    stream_port: Port | None = Field(None, description="Port of a stream worker's status page. Empty: none.")
    sinks_port: Port | None = Field(None, description="Port of a sink worker's status page. Empty: none.")
    console_host: str = Field("127.0.0.1", description="Address the console listens on.")
    console_port: Port = Field(8090, description="Port the console listens on.")
    console_gateway_urls: Annotated[list[str] | None, NoDecode] = Field(
        None,
        description="Addresses of gateways that the console reads from; not their admin ports. Empty:"
        " EYE_GATEWAY_URLS, or the gateway of the settings.",
    )
    console_metrics_urls: Annotated[list[str] | None, NoDecode] = Field(
        None,
        description="Addresses of workers whose metrics the console shows, separated by commas."
        " Empty: the stream and sink worker of the settings.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="What is logged.")
    log_format: LogFormat = Field("auto", description="How log lines look; auto: text at a terminal, else JSON.")
    traces: bool = Field(
        False, description="Send spans by OTLP over HTTP, as the OTEL_ variables say; needs the extra `otel`."
    )

    @field_validator("gateway_urls", "console_gateway_urls", "console_metrics_urls", mode="before")
    @classmethod
    def _split_urls(cls, value: Any) -> Any:
        return [url.strip() for url in value.split(",") if url.strip()] or None if isinstance(value, str) else value

    @field_validator("trusted_proxies", "accepted_breaks", "event_types", mode="before")
    @classmethod
    def _split(cls, value: Any, field: ValidationInfo) -> Any:
        if not isinstance(value, str):
            return value
        found = [part.strip() for part in value.split(",") if part.strip()]
        return found or cls.model_fields[str(field.field_name)].default

    @field_validator(
        "kafka_bootstrap_servers", "kafka_cluster_id", "postgres_dsn", "postgres_read_dsn", "max_age_seconds",
        "clock_skew_seconds", "replication_factor", "min_insync_replicas", "published_types",
        "applications", "spool_dir", "instance", "stream_port", "sinks_port", "gateway_admin_port",
        "events_retention_days", "rejected_retention_days", "sessions_retention_days",
        "kafka_ssl_cafile", "kafka_ssl_certfile", "kafka_ssl_keyfile",
        "tls_certfile", "tls_keyfile", "tls_client_cafile", "gateway_cafile", "gateway_client_certfile", mode="before",
    )  # fmt: skip
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables first, then files of the secrets directory."""
        directory = Path(os.environ.get("EYE_SECRETS_DIR") or SECRETS_DIR)
        secrets = [SecretsSettingsSource(settings_cls, directory)] if directory.is_dir() else []
        return (init_settings, env_settings, *secrets)

    @property
    def applications_file(self) -> Path:
        """The file with the applications' keys."""
        return self.applications or self.data_dir / "applications.toml"

    @property
    def spool_directory(self) -> Path:
        """The directory of the gateways' spools."""
        return self.spool_dir or self.data_dir / "spool"

    @property
    def stream_group(self) -> str:
        """The stream's consumer group."""
        return f"{self.group}eye-stream"

    @property
    def sinks_group(self) -> str:
        """The sinks' consumer group."""
        return f"{self.group}eye-sinks"

    @property
    def dsn(self) -> str:
        """The connection string of Postgres. Raises SettingsError if none is set."""
        if self.postgres_dsn is None:
            raise SettingsError("EYE_POSTGRES_DSN is not set: name a Postgres, or start one with `eye up`.")
        return self.postgres_dsn.get_secret_value()

    @property
    def read_dsn(self) -> str | None:
        """The connection string for reads; None without a Postgres."""
        dsn = self.postgres_read_dsn or self.postgres_dsn
        return dsn.get_secret_value() if dsn else None

    def rules(self) -> Rules:
        """Load the catalogue and return the rules for events. Raises CatalogueError."""
        return Rules(
            load_catalogue(self.event_types),
            max_event_bytes=self.max_event_bytes,
            max_future=timedelta(seconds=self.max_future_seconds),
            max_age=timedelta(seconds=self.max_age_seconds) if self.max_age_seconds else None,
            accept_unknown_types=self.unknown_event_types == "accept",
            clock_skew=timedelta(seconds=self.clock_skew_seconds) if self.clock_skew_seconds else None,
        )
