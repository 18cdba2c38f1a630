"""`python -m docs.generate` writes docs/reference; it starts a Postgres of its own for the page of tables."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from docs.generate.codes import codes_page, statuses_page
from docs.generate.commands import commands_page
from docs.generate.http import http_page
from docs.generate.metrics import metrics_page
from docs.generate.settings import settings_page
from docs.generate.tables import tables_page
from docs.generate.topics import topics_page
from eye.local.postgres import LocalPostgres
from sinks.postgres.migrate import migrate

REFERENCE = Path(__file__).parents[1] / "reference"

PAGES: dict[str, Callable[[], str]] = {
    "settings.md": settings_page,
    "metrics.md": metrics_page,
    "statuses.md": statuses_page,
    "codes.md": codes_page,
    "commands.md": commands_page,
    "http.md": http_page,
    "topics.md": topics_page,
}
"""Each page that needs nothing but the code."""


def main() -> None:
    """Write every page."""
    REFERENCE.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (REFERENCE / name).write_text(make())
    with tempfile.TemporaryDirectory() as directory:
        server = LocalPostgres(Path(directory))
        server.start()
        try:
            asyncio.run(migrate(server.dsn))
            (REFERENCE / "tables.md").write_text(tables_page(server.dsn))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
