"""The console's pages, one a module; each is added by its `add`."""

from __future__ import annotations

from eye.console.pages import live, overview, session, sessions, trace

PAGES = (overview, live, sessions, session, trace)
