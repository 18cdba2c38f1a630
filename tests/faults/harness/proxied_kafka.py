"""A Kafka with a second listener, which clients reach through a proxy alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from eye.local.kafka import LocalKafka
from eye.local.remembered_settings import free_port

_SETTINGS = "broker.properties"


class ProxiedKafka(LocalKafka):
    """Tells those who come by its second listener, on `inner_port`, that it is at `proxy_port`, and so for good."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir)
        self.inner_port, self.proxy_port = free_port(), free_port()

    def _write(self, name: str, settings: Mapping[str, str]) -> str:
        return super()._write(name, self._with_listener(settings) if name == _SETTINGS else settings)

    def _with_listener(self, settings: Mapping[str, str]) -> dict[str, str]:
        names = {
            "listeners": f"PROXIED://127.0.0.1:{self.inner_port}",
            "advertised.listeners": f"PROXIED://127.0.0.1:{self.proxy_port}",
            "listener.security.protocol.map": "PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
        }
        return {
            **settings,
            **{name: f"{settings[name]},{added}" for name, added in names.items()},
            "inter.broker.listener.name": "PLAINTEXT",
        }
