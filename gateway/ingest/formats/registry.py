"""The formats that the gateway takes beside its own; a new one is a module here and a line in `FORMATS`."""

from __future__ import annotations

from gateway.ingest.formats import otlp, posthog, segment, snowplow
from gateway.ingest.formats.format import Format

FORMATS: tuple[Format, ...] = (*segment.FORMATS, *posthog.FORMATS, *snowplow.FORMATS, *otlp.FORMATS)
