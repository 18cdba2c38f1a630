"""`eye lag`: messages and seconds of each stage; 0 once all is done."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

import eye.cli.lag
from eye.local.stack import environment
from eye.operations import lag
from eye.operations.lag import Lag, read_lag
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import run_eye
from tests.support.pipeline import Pipeline, an_event, ndjson


def messages(lags: list[Lag]) -> dict[str, int]:
    behind: dict[str, int] = {}
    for one in lags:
        behind[one.stage] = behind.get(one.stage, 0) + one.messages
    return behind


def lags_of(settings: Settings, **env: str) -> tuple[int, list[dict[str, Any]]]:
    ran = run_eye("lag", "--json", env=environment(settings) | env)
    return ran.returncode, json.loads(ran.stdout) if ran.stdout else []


async def test_caught_up_is_0_in_spite_of_transaction_markers(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        for _ in range(3):
            await pipeline.post(ndjson([an_event(), an_event(data={})]), "application/x-ndjson")
            await wait_until_stored(settings)

        lags = await read_lag(settings)

    assert sum(one.messages for one in lags) == 0
    assert {one.seconds for one in lags} == {0.0}
    assert any(one.end > 0 for one in lags)
    assert len(lags) == 4 * 3


async def test_each_stage_tells_what_it_has_not_done_and_how_old_that_is(settings: Settings) -> None:
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await pipeline.post(ndjson([an_event(), an_event(), an_event(data={})]), "application/x-ndjson")
        before = await read_lag(settings)
        assert messages(before) == {"stream": 3, "sink events": 0, "sink rejected_events": 0, "sink sessions": 0}
        assert 0 < max(one.seconds for one in before) < 60

        pipeline.streams.append(pipeline.make("stream"))
        pipeline.streams[0].start()
        while messages(await read_lag(settings))["stream"]:
            pass
        after = await read_lag(settings)

    assert messages(after) == {"stream": 0, "sink events": 2, "sink rejected_events": 1, "sink sessions": 1}


async def test_a_long_lag_is_estimated(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lag, "COUNTED_OFFSETS", 10)
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await pipeline.post(ndjson([an_event() for _ in range(100)]), "application/x-ndjson")

        lags = await read_lag(settings)

    assert [(one.messages, one.exact) for one in lags if one.messages] == [(100, False)]


def test_the_command_prints_json_or_a_table(settings: Settings) -> None:
    code, lags = lags_of(settings)
    ran = run_eye("lag", env=environment(settings))

    assert (code, ran.returncode) == (0, 0)
    assert {one["topic"] for one in lags} >= {topic_names(settings).raw}
    assert {"stage", "topic", "partition", "messages", "seconds"} <= lags[0].keys()
    assert "seconds" in ran.stdout


def test_watching_shows_it_again_until_ctrl_c(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = iter([None])

    def ctrl_c_in_the_second_pause(_: float) -> None:
        if next(pauses, "ended"):
            raise KeyboardInterrupt

    monkeypatch.setattr(eye.cli.lag, "sleep", ctrl_c_in_the_second_pause)

    ran = run_eye("lag", "--watch", "--json", env=environment(settings))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert [len(json.loads(line)) for line in ran.stdout.splitlines()] == [12, 12]


@pytest.mark.parametrize(
    "changes",
    [
        {"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"},
        {"EYE_POSTGRES_DSN": "host=127.0.0.1 port=1"},
        {"EYE_TOPIC_PREFIX": "nowhere."},
    ],
    ids=["Kafka is away", "Postgres is away", "no topics"],
)
async def test_what_is_missing_is_told_in_one_sentence(settings: Settings, changes: dict[str, str]) -> None:
    for command in ("lag", "ledger"):
        ran = await asyncio.to_thread(run_eye, command, env=environment(settings) | changes)

        assert (ran.returncode, ran.stdout) == (1, "")
        assert [line[:5] for line in ran.stderr.splitlines()] == ["eye: "]
