"""Registry of the drills, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.harness.field import Field

Act = Callable[[Field], None]


@dataclass(frozen=True)
class Drill:
    """An act done while events go through, and the size of the pipeline."""

    name: str
    act: Act
    rate: float = 500
    workers: int = 2
    gives_up: bool = True
    through_proxy: bool = False
    spool_disk_mib: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hindrance(self) -> str | None:
        """Say why it can't be done here, None when it can."""
        return "only root can mount a small disk" if self.spool_disk_mib and os.geteuid() else None

    @property
    def what(self) -> str:
        """The act in one sentence."""
        return (self.act.__doc__ or "").strip().splitlines()[0]


DRILLS: dict[str, Drill] = {}


def drill(name: str, **options: Any) -> Callable[[Act], Act]:
    """Enter a function among the drills."""

    def enter(act: Act) -> Act:
        DRILLS[name] = Drill(name, act, **options)
        return act

    return enter
