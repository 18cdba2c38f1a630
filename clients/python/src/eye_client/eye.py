"""The client for threads, gevent and forked workers."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from eye_client.counts import Counts
from eye_client.engine import Engine, OnResult
from eye_client.options import OptionalTerms, Options
from eye_client.sender import Sender

if TYPE_CHECKING:
    from typing_extensions import Unpack

Client = TypeVar("Client", bound="Eye")


class Eye(Sender):
    """Sends events to the gateway at `url` with `key`. One for a process is enough: make it where the process begins.

    `on_result` is called with the result of each event, on the client's own thread, or on the sender's for
    an event that is dropped at once; and once when the gateway begins to refuse our key or address (`retry`). What it
    raises is logged. Further options: `eye_client.options.Options`.
    Raises ValueError for options that can't be used; nothing else here ever raises.
    """

    def __init__(
        self, url: str, key: str, *, on_result: OnResult | None = None, **options: Unpack[OptionalTerms]
    ) -> None:
        checked = Options(url, key, **options)
        self._engine = Engine(checked, on_result)
        super().__init__(self._engine, checked.max_event_bytes)

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every event taken so far has its result; False where that takes longer than `timeout`."""
        return self._engine.flush(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """Flush, for `exit_timeout` by default, and stop; False where events were not delivered.

        These wait on the disk for the next process where there is a queue on it, and are dropped where there is none.
        """
        return self._engine.close(timeout)

    def counts(self) -> Counts:
        """Return the numbers of events by result, and of those that wait."""
        return self._engine.counts()

    def __enter__(self: Client) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
