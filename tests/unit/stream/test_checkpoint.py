"""Transactions write batches that the broker takes, whatever was sent."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import MessageSizeTooLargeError
from aiokafka.producer.message_accumulator import BatchBuilder

from schemas.judge import judge
from schemas.session import encode_session, new_session
from schemas.settings import Settings
from schemas.verdict import Accepted, Verdict, encode
from schemas.violations import MAX_VIOLATIONS
from stream.batch_limits import MAX_BATCH_BYTES, BatchLimits
from stream.checkpoint import OutgoingRecord, Transaction
from stream.runner.work import BatchRefused, RecordRefused
from tests.support.builders import RECEIVED, SUBMIT, a_raw_record, an_accepted, an_event, gateway_headers, the_rules

[LARGEST] = [limit.le for limit in Settings.model_fields["max_event_bytes"].metadata if hasattr(limit, "le")]
RULES = the_rules(max_event_bytes=LARGEST)


def a_batch() -> BatchBuilder:
    return BatchBuilder(MAX_BATCH_BYTES, 0, is_transactional=1)


class FakeProducer:
    """A producer that keeps the batches it is given."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, BatchBuilder]] = []
        self.refusal: Exception | None = None
        self._message_accumulator = SimpleNamespace(_batch_size=0)

    def create_batch(self) -> BatchBuilder:
        return BatchBuilder(self._message_accumulator._batch_size, 0, is_transactional=1)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[object]:
        self.sent.append((topic, partition, batch))
        delivery: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.refusal is not None:
            delivery.set_exception(self.refusal)
        else:
            delivery.set_result(None)
        return delivery


def a_transaction(producer: FakeProducer, partition: int = 3, limits: BatchLimits | None = None) -> Transaction:
    return Transaction(producer, partition, limits or BatchLimits(["events.validated", "sessions"], {}))


def a_record(size: int = 10) -> OutgoingRecord:
    return b"s-1", b"x" * size, [("revision", b"1")]


async def test_records_of_a_topic_are_one_batch_to_the_raw_partition() -> None:
    producer = FakeProducer()
    transaction = a_transaction(producer)

    await transaction.write("events.validated", [a_record() for _ in range(100)])
    await transaction.delivered()

    [(topic, partition, batch)] = producer.sent
    assert (topic, partition, batch.record_count()) == ("events.validated", 3, 100)


async def test_nothing_to_write_is_no_batch() -> None:
    producer = FakeProducer()

    await a_transaction(producer).write("events.validated", [])

    assert producer.sent == []


async def test_many_records_go_out_in_batches_within_the_limit() -> None:
    producer = FakeProducer()

    await a_transaction(producer).write("events.validated", [a_record(100_000) for _ in range(30)])

    assert sum(batch.record_count() for _, _, batch in producer.sent) == 30
    assert max(batch.size() for _, _, batch in producer.sent) <= MAX_BATCH_BYTES


async def test_a_record_above_the_limit_is_refused_with_its_topic() -> None:
    records = [a_record(), a_record(MAX_BATCH_BYTES + 1)]

    with pytest.raises(ValueError, match=r"a record for sessions has more than \d+ bytes"):
        await a_transaction(FakeProducer()).write("sessions", records)


async def refusal_of(limits: BatchLimits, records: list[OutgoingRecord]) -> Exception:
    """Return what is raised when the topic finds a batch too large."""
    producer = FakeProducer()
    producer.refusal = MessageSizeTooLargeError()
    transaction = a_transaction(producer, limits=limits)
    await transaction.write("events.validated", records)
    with pytest.raises((BatchRefused, RecordRefused)) as raised:
        await transaction.delivered()
    return raised.value


async def test_a_batch_that_was_refused_is_halved_until_it_is_taken() -> None:
    limits = BatchLimits(["events.validated"], {})
    records = [a_record(1_000) for _ in range(100)]

    refused = [await refusal_of(limits, records) for _ in range(4)]
    producer = FakeProducer()
    await a_transaction(producer, limits=limits).write("events.validated", records)

    assert all(isinstance(error, BatchRefused) for error in refused)
    assert max(batch.size() for _, _, batch in producer.sent) < 8_000
    assert sum(batch.record_count() for _, _, batch in producer.sent) == 100


async def test_one_record_that_is_refused_is_told_with_topic_and_limit() -> None:
    limits = BatchLimits(["events.validated"], {})

    error = await refusal_of(limits, [a_record(1_000)])

    assert isinstance(error, RecordRefused)
    assert (error.topic, 1_000 < error.size < 1_200) == ("events.validated", True)
    assert limits.batch_bytes("events.validated") == MAX_BATCH_BYTES


# the largest there can be


def fits(value: bytes) -> bool:
    headers = [*gateway_headers("i" * 128, "a" * 128), ("category", b"c" * 512), ("name", b"n" * 512)]
    return bool(a_batch().append(timestamp=None, key=b"k" * 512, value=value, headers=headers).size <= MAX_BATCH_BYTES)


def judge_value(value: bytes) -> Verdict:
    return judge(a_raw_record(value=value), RULES)


@pytest.mark.parametrize(
    "fill", ["x", '\\"', "\\\\", "\\n", "\\u00e9", "é", "😀", "\x7f", "\x01", "<", "/", "\u2028", "\t"]
)
def test_the_largest_event_possible_is_rejected_in_a_fitting_record(fill: str) -> None:
    event = json.dumps(an_event() | {"odd": "?"})
    value = event.replace("?", fill * ((LARGEST - len(event)) // len(fill.encode()))).encode()

    assert LARGEST - 10 < len(value) <= LARGEST
    assert fits(encode(judge_value(value)))


@pytest.mark.parametrize("value", [b"\xff", b"\0", b'"', b"\n", b"\\", b"{", b"["])
def test_any_bytes_of_any_size_are_rejected_in_a_record_that_fits(value: bytes) -> None:
    for size in (LARGEST, 5 * LARGEST):
        assert fits(encode(judge_value(value * size)))


@pytest.mark.parametrize("letter", ["x", "é", "😀", "\0", "\ud800", '"', "\\", "\x01"])
def test_the_longest_list_of_violations_fits_beside_the_largest_event(letter: str) -> None:
    odd: dict[str, Any] = {f"{number}{letter * 200}": 1 for number in range(MAX_VIOLATIONS)}
    event = json.dumps(an_event(**odd, category=letter * 300, name=letter * 300)).encode()
    value = event[:-1] + b', "fill": "' + b'\\"' * ((LARGEST - len(event) - 12) // 2) + b'"}'

    assert LARGEST - 10 < len(value) <= LARGEST
    assert fits(encode(judge_value(value)))


def test_the_largest_accepted_event_fits() -> None:
    data = {"host": "h", "path": "/", "form": {"x": "?"}}
    value = json.dumps(an_event(**SUBMIT, data=data)).replace("?", "x" * (LARGEST - 300)).encode()

    verdict = judge_value(value)

    assert isinstance(verdict, Accepted)
    assert fits(encode(verdict))


@pytest.mark.parametrize("letter", ["x", "é", "😀", '"', "\x01"])
def test_a_session_of_endlessly_many_event_types_still_fits(letter: str) -> None:
    """Test with settings that accept unknown types: a name may then hold anything."""
    summary = new_session("s-1", RECEIVED)

    for number in range(3_000):
        summary.add(an_accepted(category=letter * 128, name=f"{number:08}{letter * 120}"), RECEIVED)

    assert fits(encode_session(summary))
    assert summary.event_count == sum(summary.counts_by_type.values()) == 3_000
