"""The version of this distribution."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("the-eye-client")
    except PackageNotFoundError:  # run from its sources
        return "0"


VERSION = _installed()
