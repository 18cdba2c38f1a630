"""Logging of the processes: one line a record to standard error, as text at a terminal, else as JSON."""

from __future__ import annotations

import logging
import sys
import threading

from pythonjsonlogger.json import JsonFormatter

from schemas.settings import LogFormat

log = logging.getLogger(__name__)

_TEXT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
_JSON = "{levelname}{name}{message}"

_LEAST_LEVELS = {
    "faust": logging.WARNING,
    "mode": logging.ERROR,
    "aiokafka": logging.WARNING,
    "aiokafka.producer.sender": logging.ERROR,  # warns of what it then repeats with success
    "asyncio": logging.WARNING,
    "uvicorn": logging.WARNING,
}


def configure_logs(level: str, form: LogFormat) -> None:
    """Log from this level on; the libraries only what an operator has to know."""
    handler = logging.StreamHandler()
    handler.setFormatter(_json_formatter() if is_json(form) else logging.Formatter(_TEXT))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    if level != "DEBUG":
        for name, least in _LEAST_LEVELS.items():
            logging.getLogger(name).setLevel(least)


def quiet_libraries() -> None:
    """Log of the libraries nothing below CRITICAL: a command says in its own words what is wrong with a server."""
    for name in (*_LEAST_LEVELS, "psycopg"):
        logging.getLogger(name).setLevel(logging.CRITICAL)


def is_json(form: LogFormat) -> bool:
    """Tell whether lines are JSON: by default where nobody sits at a terminal."""
    return form == "json" or (form == "auto" and not sys.stderr.isatty())


def log_thread_crashes() -> None:
    """Have an exception that ends a thread logged as any other."""
    threading.excepthook = lambda end: log.critical("a thread has ended: %r", end.exc_value, exc_info=end.exc_value)


def _json_formatter() -> logging.Formatter:
    """Make lines of `time`, `level`, `logger`, `message`, `exc_info`, and what a record has beside them."""
    return JsonFormatter(_JSON, style="{", rename_fields={"levelname": "level", "name": "logger"}, timestamp="time")
