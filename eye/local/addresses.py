"""Addresses of local servers, known from their first start on."""

from __future__ import annotations


class BrokerAddress:
    """Address of a Kafka whose `start` sets the port."""

    _port: int | None = None

    @property
    def bootstrap_servers(self) -> str:
        """Host and port for clients, known from the first `start` on; a restart keeps it if it can."""
        if self._port is None:
            raise RuntimeError("Kafka has not been started.")
        return f"127.0.0.1:{self._port}"


class DatabaseAddress:
    """Address of a PostgreSQL whose `start` sets the connection string."""

    _dsn: str | None = None

    @property
    def dsn(self) -> str:
        """Connection string with its password, known from the first `start` on."""
        if self._dsn is None:
            raise RuntimeError("PostgreSQL has not been started.")
        return self._dsn
