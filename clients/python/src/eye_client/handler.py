"""Log records as events."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from eye_client.sender import Sender

_OURS = ("eye_client", "urllib3")

SessionOf = Callable[[logging.LogRecord], str]


class EyeHandler(logging.Handler):
    """Sends each log record as an event: `category` / its level in lower case.

    Its data is {logger, message} and, with an exception, {exception, traceback}; its time is the record's.
    `session_id` is one for all records, or a function that finds a record's. What the client itself logs,
    and its HTTP library, is left out.
    """

    def __init__(
        self, sender: Sender, session_id: str | SessionOf, *, category: str = "log", level: int = logging.WARNING
    ) -> None:
        super().__init__(level)
        self._sender = sender
        self._session_id = session_id
        self._category = category
        self._formatter = logging.Formatter()

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record. Never raises; `logging.raiseExceptions` has a failure printed."""
        if record.name.partition(".")[0] in _OURS:
            return
        try:
            session_id = self._session_id(record) if callable(self._session_id) else self._session_id
            seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            timestamp = f"{seconds}.{int(record.created % 1 * 1e6):06d}Z"
            name = record.levelname.lower()
            self._sender.send(self._category, name, session_id, self._data(record), timestamp=timestamp)
        except Exception:
            self.handleError(record)

    def _data(self, record: logging.LogRecord) -> dict[str, Any]:
        data = {"logger": record.name, "message": record.getMessage()}
        if record.exc_info and record.exc_info[0] is not None:
            data["exception"] = record.exc_info[0].__name__
            data["traceback"] = self._formatter.formatException(record.exc_info)
        return data
