"""A format: what a vendor's SDK sends to which calls, and the answer that it understands.

Pure: clock, ids and limits come with the request's parts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from gateway.ingest.event_reader import Item
from gateway.ingest.results import Answer
from gateway.problems import Problem

_encode = msgspec.json.Encoder().encode


class Limits(NamedTuple):
    """Most events of a request, and most bytes of an event as JSON."""

    max_events: int
    max_event_bytes: int


@dataclass(frozen=True, slots=True)
class RequestParts:
    """The parts of a request that a format reads.

    `path` as the client named it, `body` decompressed, `received_at` in milliseconds since 1970 UTC; `new_id` makes an
    id that nobody has.
    """

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    received_at: int
    limits: Limits
    new_id: Callable[[], str]


class Batch(NamedTuple):
    """The events of a request, each in whatever shape the format took it out of the body.

    `to_item` maps one of them to our event with its verdict, and takes anything. `key`: the API key that the request
    has in its body or query, where there is one.
    """

    events: Sequence[Any]
    to_item: Callable[[Any], Item]
    key: str | None = None

    def items(self) -> list[Item]:
        """Map all events, in their order."""
        return [self.to_item(event) for event in self.events]


class Reply(NamedTuple):
    """An answer in a format's own shape."""

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}


def json_reply(answer: Answer, **members: object) -> Reply:
    """Return our answer as JSON, with members that the format's SDKs look for."""
    return Reply(_encode({**members, **msgspec.structs.asdict(answer)}))


def answer_as_ours(_: RequestParts, answer: Answer) -> Reply:
    """Answer with the counts and the results by index."""
    return json_reply(answer)


class Call(NamedTuple):
    """One call of a format, by the first of its paths; the others are the same.

    The rest is for the gateway's description: a summary, an example of a body as JSON, the types that a body may have,
    the parameters of the query with what they mean, and the types of answers and refusals where they are not ours.
    """

    method: str
    paths: tuple[str, ...]
    summary: str
    example: Any = None
    types: Sequence[str] = ("application/json", "text/plain")
    parameters: Mapping[str, str] = {}
    answers: str | None = None
    refusals: str | None = None


def post(path: str, summary: str, *others: str, example: Any = None) -> Call:
    """Return a POST that is the same with a slash at the end, and under other paths."""
    return Call("POST", (path, f"{path}/", *others), summary, example)


class Format(NamedTuple):
    """One format.

    `read` takes a request apart; it raises a Problem where it is none of this format. `answer` tells a sender what
    became of its events. `asks_again`: the answer says of single events that they have to be sent again; without it the
    whole request is answered with 503 when one of them has to. `problem` makes the answer to a request that is refused,
    given its headers; without it that is problem+json with a `message`. `finds_gzip`: a body is known as gzip by its
    first bytes alone. `credentials`: browsers send the calls with credentials (cookies), which nobody looks at.
    """

    name: str
    calls: Sequence[Call]
    read: Callable[[RequestParts], Batch]
    answer: Callable[[RequestParts, Answer], Reply] = answer_as_ours
    asks_again: bool = False
    problem: Callable[[Mapping[str, str], Problem], Reply] | None = None
    finds_gzip: bool = True
    credentials: bool = False
