"""The console's pages, one a module; each is added by its `add`."""

from __future__ import annotations

from eye.console.pages import catalogue, keys, ledger, live, overview, rejected, session, sessions, trace

PAGES = (overview, live, sessions, session, rejected, trace, catalogue, ledger, keys)
