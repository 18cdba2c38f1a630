"""The private names of Faust and aiokafka that the transport and the checkpoint use, in the versions that are pinned.

When one of these fails after an upgrade, `stream/faust/consumer.py` has to be read again beside Faust's own.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, get_type_hints

import aiokafka
import faust
import mode
import pytest
from aiokafka.consumer.fetcher import Fetcher
from aiokafka.consumer.subscription_state import Assignment, Subscription, SubscriptionState, TopicPartitionState
from aiokafka.errors import ConsumerStoppedError, IllegalStateError
from aiokafka.producer.message_accumulator import BatchBuilder
from faust.app.base import BootStrategy
from faust.transport import consumer as faust_consumer
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ConsumerMessage
from mode.threads import QueueServiceThread

from stream.faust import batches
from stream.faust.app import ChunkApp
from stream.faust.consumer import ChunkConsumer, ChunkConsumerThread, ChunkTransport

PYPROJECT = (Path(__file__).parents[4] / "pyproject.toml").read_text()
CONSTRAINTS = (Path(__file__).parents[4] / "constraints.txt").read_text()

PartitionRecords: Any = batches._PartitionBatches.__base__
"""aiokafka's own, in whose place others stand by now."""


@pytest.mark.parametrize("package", ["aiokafka", "faust-streaming"])
def test_the_installed_version_is_the_pinned_one(package: str) -> None:
    assert re.findall(rf'"{package}==([^"]+)"', PYPROJECT) == [version(package)]
    assert f"{package}=={version(package)}" in CONSTRAINTS


def test_mode_is_what_the_constraints_name() -> None:
    """Services, their threads and `wait_first` are mode's; Faust leaves its version open."""
    assert f"mode-streaming=={version('mode-streaming')}" in CONSTRAINTS


def parameters(function: Callable[..., Any]) -> list[str]:
    return [
        str(found).partition(":")[0].partition("=")[0].strip()
        for found in inspect.signature(function).parameters.values()
    ]


# what is called

CALLED: list[tuple[Any, str, list[str]]] = [
    (driver.AIOKafkaConsumerThread, "_ensure_consumer", ["self"]),
    (driver.AIOKafkaConsumerThread, "getmany", ["self", "active_partitions", "timeout"]),
    (QueueServiceThread, "call_thread", ["self", "fun", "*args", "**kwargs"]),
    (faust_consumer.ThreadDelegateConsumer, "assignment", ["self"]),
    (mode.Service, "wait", ["self", "*coros", "timeout"]),
    (mode.Service, "wait_first", ["self", "*coros", "timeout"]),
    (mode.Service, "add_future", ["self", "coro"]),
    (mode.Service, "wait_until_stopped", ["self"]),
    (faust.App, "create_event", ["self", "key", "value", "headers", "message"]),
    (aiokafka.AIOKafkaConsumer, "committed", ["self", "partition"]),
    (aiokafka.AIOKafkaConsumer, "commit", ["self", "offsets"]),
    (aiokafka.AIOKafkaConsumer, "seek", ["self", "partition", "offset"]),
    (aiokafka.AIOKafkaConsumer, "assignment", ["self"]),
    (Assignment, "state_value", ["self", "tp"]),
    (aiokafka.AIOKafkaProducer, "begin_transaction", ["self"]),
    (aiokafka.AIOKafkaProducer, "commit_transaction", ["self"]),
    (aiokafka.AIOKafkaProducer, "send_offsets_to_transaction", ["self", "offsets", "group_id"]),
    (aiokafka.AIOKafkaProducer, "create_batch", ["self"]),
    (aiokafka.AIOKafkaProducer, "send_batch", ["self", "batch", "topic", "partition"]),
    (aiokafka.AIOKafkaProducer, "partitions_for", ["self", "topic"]),
    (
        PartitionRecords,
        "__init__",
        [
            "self",
            "tp",
            "records",
            "aborted_transactions",
            "fetch_offset",
            "key_deserializer",
            "value_deserializer",
            "check_crcs",
            "isolation_level",
        ],
    ),
    (BatchBuilder, "append", ["self", "timestamp", "key", "value", "headers"]),
    (BatchBuilder, "record_count", ["self"]),
]


@pytest.mark.parametrize(("owner", "name", "expected"), CALLED, ids=[f"{o.__name__}.{n}" for o, n, _ in CALLED])
def test_what_is_called_takes_what_it_is_given(owner: Any, name: str, expected: list[str]) -> None:
    assert parameters(getattr(owner, name)) == expected


@pytest.mark.parametrize("name", ["getmany", "call_thread", "_ensure_consumer", "_consumer"])
def test_the_thread_has_it(name: str) -> None:
    assert hasattr(ChunkConsumerThread, name)


def test_a_message_has_its_fields_where_they_are_given() -> None:
    taken = parameters(ConsumerMessage.__init__)

    assert taken[1:10] == [
        "topic", "partition", "offset", "timestamp", "timestamp_type", "headers", "key", "value", "checksum",
    ]  # fmt: skip
    assert {"tp", "generation_id"} <= set(taken)


async def test_aiokafka_keeps_where_a_partitions_fetching_stands() -> None:
    consumer = inspect.getsource(aiokafka.AIOKafkaConsumer.__init__)
    state = TopicPartitionState(None)

    assert "self._subscription = SubscriptionState" in consumer
    assert isinstance(SubscriptionState.subscription, property)
    assert isinstance(Subscription.assignment, property)
    assert (state.highwater, state.lso, state.has_valid_position) == (None, None, False)
    state.seek(5)
    assert (state.has_valid_position, state.position) == (True, 5)


def test_aiokafka_asks_each_fetch_for_what_its_fetcher_says_then() -> None:
    asking = inspect.getsource(Fetcher._get_actions_per_node)

    assert re.search(r"FetchRequest\(\s*self\._fetch_max_wait_ms,\s*self\._fetch_min_bytes,", asking)
    assert "self._fetcher = Fetcher(" in inspect.getsource(aiokafka.AIOKafkaConsumer.start)


def test_a_producer_can_be_left_behind_by_closing_its_client() -> None:
    assert "self.client = AIOKafkaClient" in inspect.getsource(aiokafka.AIOKafkaProducer.__init__)
    assert parameters(aiokafka.client.AIOKafkaClient.close) == ["self"]


def test_errors_that_are_caught_are_those_that_are_raised() -> None:
    assert ConsumerStoppedError in driver.Consumer.consumer_stopped_errors
    assert "raise IllegalStateError" in inspect.getsource(SubscriptionState._assigned_state)
    assert issubclass(IllegalStateError, Exception)


def test_batches_are_asked_for_what_passes_for_a_record() -> None:
    """`WholeBatch` hands on whatever is asked of a batch, and is its own only record."""
    unpacking = inspect.getsource(PartitionRecords._unpack_records)

    assert set(re.findall(r"self\._records|records\.(\w+)\(", unpacking)) == {"", "has_next", "next_batch"}
    assert set(re.findall(r"record\.(\w+)", unpacking)) == {"offset"}
    assert "for record in next_batch:" in unpacking
    assert "self._consumer_record(tp, record)" in unpacking


# what is replaced

REPLACED: list[tuple[Any, Any, set[str]]] = [
    (ChunkConsumerThread, driver.AIOKafkaConsumerThread, {"_create_worker_consumer"}),
    (
        ChunkConsumer,
        driver.Consumer,
        {
            "_new_consumer_thread",
            "perform_seek",
            "on_buffer_full",
            "on_buffer_drop",
            "verify_event_path",
            "_drain_messages",
        },
    ),
    (ChunkTransport, driver.Transport, {"Consumer"}),
    (ChunkApp, faust.App, {"_new_transport", "BootStrategy", "__init__"}),
]


@pytest.mark.parametrize(("ours", "theirs", "replaced"), REPLACED, ids=[o.__name__ for o, _, _ in REPLACED])
def test_what_is_replaced_is_there_to_be_replaced_and_nothing_else_is(
    ours: Any, theirs: Any, replaced: set[str]
) -> None:
    by_python_and_mode = re.compile(r"__(?!init__)\w+__|_abc_impl|abstract|logger")
    names = {name for name in vars(ours) if hasattr(theirs, name) and not by_python_and_mode.fullmatch(name)}

    assert names == replaced
    for name in replaced - {"__init__", "BootStrategy", "Consumer"}:
        assert parameters(getattr(ours, name)) == parameters(getattr(theirs, name))


REPLACED_IS_CALLED: list[tuple[Any, str]] = [
    (faust_consumer.Fetcher._fetcher.fun, "await consumer._drain_messages(self)"),
    (faust_consumer.ThreadDelegateConsumer.__init__, "self._thread = self._new_consumer_thread()"),
    (faust_consumer.Consumer.verify_all_partitions_active, "self.verify_event_path(now, tp)"),
    (driver.AIOKafkaConsumerThread._create_consumer, "return self._create_worker_consumer(transport)"),
    (driver.ConsumerRebalanceListener.on_partitions_assigned, "app.consumer_generation_id = generation"),
    (faust.App.transport.fget, "self._transport = self._new_transport()"),
    (faust.App.__init__, "self.BootStrategy(self)"),
]


@pytest.mark.parametrize(
    ("caller", "call"), REPLACED_IS_CALLED, ids=[caller.__name__ for caller, _ in REPLACED_IS_CALLED]
)
def test_faust_calls_what_is_replaced(caller: Any, call: str) -> None:
    assert call in inspect.getsource(caller)


def test_the_strategy_of_booting_has_the_switches() -> None:
    assert {"enable_web", "enable_kafka_producer"} <= set(get_type_hints(BootStrategy))
    assert BootStrategy._should_enable_web
    assert BootStrategy._should_enable_kafka_producer
