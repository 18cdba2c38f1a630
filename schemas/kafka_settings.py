"""The settings of Kafka's clients: the brokers, TLS and SASL."""

from __future__ import annotations

import re
import ssl
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.settings_error import SettingsError

_ADDRESS = re.compile(r"([^:\s]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?")


class KafkaSettings(BaseSettings):
    """The part of the settings by which every client connects to Kafka."""

    model_config = SettingsConfigDict(env_prefix="EYE_", extra="ignore", frozen=True)

    kafka_bootstrap_servers: str | None = Field(
        None, description="host:port,... of Kafka. Empty: `eye up` starts one on this machine."
    )
    kafka_cluster_id: str | None = Field(
        None, description="Id of the cluster that Kafka has to be. Empty: the one that was connected to first."
    )
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="How to talk to Kafka."
    )
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        "SCRAM-SHA-512", description="How to log in, with a SASL_ protocol."
    )
    kafka_sasl_username: str | None = Field(None, description="User name for SASL.")
    kafka_sasl_password: SecretStr | None = Field(None, description="Password for SASL.")
    kafka_ssl_cafile: Path | None = Field(None, description="CA certificates (PEM). Empty: the system's.")
    kafka_ssl_certfile: Path | None = Field(None, description="Client certificate (PEM), where the broker wants one.")
    kafka_ssl_keyfile: Path | None = Field(None, description="Key of the client certificate (PEM).")

    def kafka_client(self) -> dict[str, Any]:
        """Return the options of every aiokafka client. Raises SettingsError without bootstrap servers."""
        if self.kafka_bootstrap_servers is None:
            raise SettingsError("EYE_KAFKA_BOOTSTRAP_SERVERS is not set: name a Kafka, or start one with `eye up`.")
        if not all(_ADDRESS.fullmatch(address.strip()) for address in self.kafka_bootstrap_servers.split(",")):
            raise SettingsError(f"EYE_KAFKA_BOOTSTRAP_SERVERS is no list of host:port: {self.kafka_bootstrap_servers}")
        options: dict[str, Any] = {
            "bootstrap_servers": self.kafka_bootstrap_servers,
            "security_protocol": self.kafka_security_protocol,
            "ssl_context": self.kafka_ssl(),
        }
        if self.kafka_security_protocol.startswith("SASL_"):
            password = self.kafka_sasl_password
            options |= {
                "sasl_mechanism": self.kafka_sasl_mechanism,
                "sasl_plain_username": self.kafka_sasl_username,
                "sasl_plain_password": password.get_secret_value() if password else None,
            }
        return options

    def kafka_ssl(self) -> ssl.SSLContext | None:
        """Return the TLS context for Kafka, which verifies the broker; None without TLS."""
        if not self.kafka_security_protocol.endswith("SSL"):
            return None
        try:
            context = ssl.create_default_context(cafile=self.kafka_ssl_cafile)
            if self.kafka_ssl_certfile:
                context.load_cert_chain(self.kafka_ssl_certfile, self.kafka_ssl_keyfile)
        except OSError as error:
            raise SettingsError(f"EYE_KAFKA_SSL_...: a file can't be used: {error}") from error
        return context
