"""How the processes log: one line each, to standard error."""

from __future__ import annotations

import logging

_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

_TALKATIVE = {
    "faust": logging.WARNING,
    "mode": logging.ERROR,
    "aiokafka": logging.WARNING,
    "aiokafka.producer.sender": logging.ERROR,  # warns of what it then repeats with success
    "asyncio": logging.WARNING,
}


def configure_logs(level: str) -> None:
    """Log from this level on; the libraries only what an operator has to know."""
    logging.basicConfig(level=level, format=_FORMAT, force=True)
    if level != "DEBUG":
        for name, least in _TALKATIVE.items():
            logging.getLogger(name).setLevel(least)
