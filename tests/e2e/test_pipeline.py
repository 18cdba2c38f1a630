"""From POST to row, through every process."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from schemas.topics import topic_names
from schemas.verdict import Code
from tests.conftest import fresh_database, fresh_settings
from tests.e2e.reader import read_committed
from tests.support.pipeline import SAMPLE, Pipeline, an_event, ndjson
from tests.support.servers import SharedKafka, SharedPostgres

SAMPLE_EVENTS = [json.loads(line) for line in SAMPLE.read_text().splitlines()]


@pytest.fixture(scope="module")
def pipeline(
    kafka: SharedKafka, postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """One pipeline for all tests here; each looks at its own sessions."""
    directory = tmp_path_factory.mktemp("pipeline")
    with fresh_database(postgres) as dsn, Pipeline(fresh_settings(kafka, dsn, directory)) as running:
        yield running


@pytest.fixture(scope="module")
def with_sample(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline, after the sample went all the way."""

    async def send() -> None:
        status, answer = await pipeline.post(SAMPLE.read_bytes(), "application/x-ndjson")
        assert (status, answer["accepted"], answer["rejected"]) == (202, 65, 0)
        await wait_until_stored(pipeline.settings)

    asyncio.run(send())
    return pipeline


async def test_the_sample_is_stored_once_and_in_order_within_sessions(with_sample: Pipeline) -> None:
    _, answer = await with_sample.get("/sessions")

    assert {session["session_id"] for session in answer["sessions"]} == {e["session_id"] for e in SAMPLE_EVENTS}
    stored: Counter[str] = Counter()
    for session in answer["sessions"]:
        _, its = await with_sample.get(f"/sessions/{session['session_id']}/events")
        times = [event["occurred_at"] for event in its["events"]]
        stored.update(event["event_id"] for event in its["events"])
        assert times == sorted(times)
        assert len(times) == session["event_count"]
        assert (session["started_at"], session["ended_at"]) == (times[0], times[-1])
        assert its["events"][0]["event_id"] == session["first_event_id"]
    rejected = await sample_errors(with_sample)
    assert (len(stored), len(rejected)) == (55, 8)
    assert stored == Counter({event["event_id"] for event in SAMPLE_EVENTS} - rejected.keys())


async def test_the_sample_is_rejected_for_the_reasons_it_was_made_for(with_sample: Pipeline) -> None:
    rejected = await sample_errors(with_sample)

    assert {(error["code"], error["path"]) for errors in rejected.values() for error in errors} == {
        ("missing_field", "$.data.path"),
        ("wrong_type", "$.data.element"),
        ("wrong_type", "$.data.form"),
        ("future_timestamp", "$.timestamp"),
        ("bad_timestamp", "$.timestamp"),
        ("unknown_event_type", "$.name"),
        ("unknown_field", "$.data.colour"),
        ("bad_value", "$.data.path"),
    }


async def test_another_client_finds_each_valid_event_once_by_its_key(
    with_sample: Pipeline,
) -> None:
    rejected = await sample_errors(with_sample)

    messages = of_sample(read_committed(with_sample.settings, topic_names(with_sample.settings).validated))

    ids = Counter(json.loads(message.value())["event_id"] for message in messages)
    assert ids == Counter({event["event_id"] for event in SAMPLE_EVENTS} - rejected.keys())
    placed = partitions_by_librdkafka(with_sample.settings, {message.key() for message in messages})
    for message in messages:
        assert message.key().decode() == json.loads(message.value())["session_id"]
        assert message.partition() == placed[message.key()]


async def test_records_stand_in_the_partition_and_order_of_their_raw_record(with_sample: Pipeline) -> None:
    topics = topic_names(with_sample.settings)

    for topic in (topics.validated, topics.rejected):
        sources = defaultdict(list)
        for message in read_committed(with_sample.settings, topic):
            raw_topic, partition, offset = dict(message.headers())["source"].decode().split(":")
            assert (raw_topic, int(partition)) == (topics.raw, message.partition())
            sources[partition].append(int(offset))

        assert sources
        assert all(offsets == sorted(set(offsets)) for offsets in sources.values())


async def sample_errors(pipeline: Pipeline) -> dict[str, Any]:
    """Return the errors of the sample's rejected events by event_id."""
    _, answer = await pipeline.get("/errors?limit=1000")
    ids = {event["event_id"] for event in SAMPLE_EVENTS}
    return {found["event_id"]: found["errors"] for found in answer["errors"] if found["event_id"] in ids}


def of_sample(messages: list[Any]) -> list[Any]:
    """Leave out what other tests sent."""
    ids = {event["event_id"] for event in SAMPLE_EVENTS}
    return [message for message in messages if json.loads(message.value())["event_id"] in ids]


def body(text: str) -> bytes:
    """Return an event whose payload has this JSON as its path."""
    return json.dumps(an_event(data={"host": "h", "path": "HERE"})).replace('"HERE"', text).encode()


BAD = {
    "nul": (body(r'"a\u0000b"'), {Code.BAD_VALUE}),
    "nan": (body("NaN"), {Code.BAD_VALUE}),
    "infinity": (body("-Infinity"), {Code.BAD_VALUE}),
    "lone surrogate": (body(r'"\ud800"'), {Code.BAD_VALUE}),
    "2^70": (body(str(2**70)), {Code.WRONG_TYPE}),
    "beyond a double": (body("1e999"), {Code.BAD_VALUE}),
    "no double at all": (body("1e-20000"), {Code.BAD_VALUE}),
    "deep": (body("[" * 200 + "]" * 200), {Code.TOO_DEEP, Code.WRONG_TYPE}),
    "deeper": (body("[" * 20_000 + "]" * 20_000), {Code.TOO_DEEP}),
    "unknown field": (json.dumps(an_event(colour="red")).encode(), {Code.UNKNOWN_FIELD}),
    "missing fields": (b'{"session_id": "s-1"}', {Code.MISSING_FIELD}),
    "timestamp a number": (json.dumps(an_event(timestamp=1)).encode(), {Code.WRONG_TYPE}),
    "timestamp nonsense": (json.dumps(an_event(timestamp="now")).encode(), {Code.BAD_TIMESTAMP}),
    "future": (json.dumps(an_event(timestamp="2999-01-01T00:00:00Z")).encode(), {Code.FUTURE_TIMESTAMP}),
    "unknown type": (json.dumps(an_event(name="dance")).encode(), {Code.UNKNOWN_EVENT_TYPE}),
    "several": (
        json.dumps(an_event(timestamp="now", data={"host": 7, "colour": "red"})).encode(),
        {Code.BAD_TIMESTAMP, Code.WRONG_TYPE, Code.MISSING_FIELD, Code.UNKNOWN_FIELD},
    ),
}


async def test_bad_input_of_every_kind_ends_as_a_rejected_event(pipeline: Pipeline) -> None:
    ids = {}
    for name, (bad, _) in BAD.items():
        status, answer = await pipeline.post(bad)
        assert status == 202, (name, answer)
        ids[answer["results"][0]["event_id"]] = name
    last = an_event(session_id="s-last")
    await pipeline.post(json.dumps(last).encode())
    await wait_until_stored(pipeline.settings)

    _, errors = await pipeline.get("/errors?limit=1000")
    ours = [error for error in errors["errors"] if error["event_id"] in ids]
    found = {ids[error["event_id"]]: {e["code"] for e in error["errors"]} for error in ours}
    assert found == {name: {str(code) for code in codes} for name, (_, codes) in BAD.items()}
    assert all(e["path"].startswith("$") for error in ours for e in error["errors"])
    status, stored = await pipeline.get(f"/events/{last['event_id']}")
    assert (status, stored["session_id"]) == (200, "s-last")


async def test_records_that_no_gateway_wrote_get_a_verdict_too(pipeline: Pipeline) -> None:
    topics = topic_names(pipeline.settings)
    producer = Producer({"bootstrap.servers": pipeline.settings.kafka_bootstrap_servers})
    for key, value in ((None, b"\xff\xfe"), (b"s-1", b"[1]"), (b"k", None), (b"s-1", b"x" * 200_000)):
        producer.produce(topics.raw, key=key, value=value)
    producer.flush(10)
    await wait_until_stored(pipeline.settings)

    _, errors = await pipeline.get("/errors")
    ours = [error for error in errors["errors"] if error["application"] == "unknown"]
    codes = Counter(e["code"] for error in ours for e in error["errors"])
    assert codes == {"not_json": 2, "not_an_object": 1, "too_large": 1}


async def test_the_same_id_with_another_timestamp_is_one_row(pipeline: Pipeline) -> None:
    first = an_event()
    again = first | {"timestamp": "2022-02-02 02:02:02", "session_id": "s-other"}
    await pipeline.post(ndjson([first, again]), "application/x-ndjson")
    await wait_until_stored(pipeline.settings)

    with psycopg.connect(pipeline.settings.dsn) as connection:
        query = "select occurred_at::text from eye.events where event_id = %s"
        rows = connection.execute(query, (first["event_id"],)).fetchall()

    assert len(rows) == 1


async def test_an_id_that_is_no_uuid_is_found_by_the_id_its_sender_gave(pipeline: Pipeline) -> None:
    await pipeline.post(json.dumps(an_event(event_id="order/17 ü")).encode())
    await wait_until_stored(pipeline.settings)

    status, stored = await pipeline.get("/events/order%2F17%20%C3%BC")

    assert (status, stored["event_id"]) == (200, "order/17 ü")


def test_a_stop_is_clean_and_quick(settings: Settings) -> None:
    with Pipeline(settings) as running:
        for process in running.processes:
            process.stop(15)

        assert [process.exit_code() for process in running.processes] == [0, 0, 0]


def partitions_by_librdkafka(settings: Settings, keys: set[bytes]) -> dict[bytes, int]:
    """Have librdkafka's own murmur2 place records in a topic with as many partitions, and see where they go."""
    servers = {"bootstrap.servers": settings.kafka_bootstrap_servers}
    topic = f"{settings.topic_prefix}placement"
    admin = AdminClient(servers)
    admin.create_topics([NewTopic(topic, settings.partitions, 1)])[topic].result(10)
    placed: dict[bytes, int] = {}

    def note(_: object, message: Any) -> None:
        placed[message.key()] = message.partition()

    producer = Producer(servers | {"partitioner": "murmur2_random"})
    for key in keys:
        producer.produce(topic, key=key, on_delivery=note)
    assert producer.flush(10) == 0
    return placed


async def test_user_and_context_go_from_body_to_row_and_back(pipeline: Pipeline) -> None:
    session, context = "s-with-context", {"page": {"url": "https://shop.example/?q=ü"}, "n": 1.5}
    sent = [
        an_event(session_id=session, event_id="c-1", user_id="u-42", context=context),
        an_event(session_id=session, event_id="c-2"),
    ]
    status, _ = await pipeline.post(json.dumps(sent).encode())
    assert status == 202
    await wait_until_stored(pipeline.settings)

    _, of_user = await pipeline.get("/events?user_id=u-42")
    _, of_id = await pipeline.get("/events?event_id=c-2")
    assert [(event["event_id"], event["user_id"], event["context"]) for event in of_user["events"]] == [
        ("c-1", "u-42", context)
    ]
    assert [(event["event_id"], event.keys() & {"user_id", "context"}) for event in of_id["events"]] == [("c-2", set())]
