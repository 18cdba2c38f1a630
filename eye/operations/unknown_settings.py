"""Find variables that look like settings and are none, since a mistyped name is silently ignored otherwise."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping

from schemas.settings import Settings

_NO_SETTINGS = {"EYE_KEY", "EYE_RESTARTS_IN_A_ROW", "EYE_SECRETS_DIR", "EYE_URL"}
"""Variables that others than Settings read."""

_SERVICE_LINK = re.compile(r"EYE_.*_(SERVICE_(HOST|PORT.*)|PORT_\d+_(TCP|UDP).*)")
"""Names of the variables that Kubernetes sets for a service."""


def unknown_settings(environ: Mapping[str, str] | None = None) -> list[str]:
    """Return a sentence for each variable EYE_... that is no setting, with the name that was meant if one is close."""
    known = {f"EYE_{name.upper()}" for name in Settings.model_fields} | _NO_SETTINGS
    given = os.environ if environ is None else environ
    names = [name for name in given if name.startswith("EYE_") and name not in known]
    return [_sentence(name, known) for name in sorted(names) if not _SERVICE_LINK.fullmatch(name)]


def _sentence(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.8)
    meant = f"; did you mean {close[0]}?" if close else "; `eye doctor` lists the settings."
    return f"{name} is no setting and has no effect{meant}"
