"""The guard of a cluster: it learns which one is ours, remembers it, and refuses every other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.publish.cluster_memory import GatewayMemory
from kafka_client import cluster_guard
from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import AcceptedCluster, ClusterGuard, ForeignCluster, guarded


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """Return the ids with which Kafka answers, one question after the other."""
    answers: list[str | None] = []

    async def ask(_: object) -> str | None:
        return answers.pop(0)

    monkeypatch.setattr(cluster_guard, "ask_cluster_id", ask)
    return answers


@pytest.fixture
def file(tmp_path: Path) -> ClusterFile:
    return ClusterFile(tmp_path / "spool", "events.raw")


async def test_a_first_cluster_is_adopted_and_remembered(answering: list[str | None], file: ClusterFile) -> None:
    answering.append("A")
    guard = ClusterGuard(file)

    await guard.learn({})
    guard.check("A")

    assert (guard.known, guard.fault, file.text()) == ("A", None, "A")


async def test_a_remembered_cluster_is_the_only_one(file: ClusterFile) -> None:
    await file.remember("A")
    guard = ClusterGuard(file)
    await guard.learn({})

    with pytest.raises(ForeignCluster, match=r"another cluster: B, not A; .*eye topics accept-cluster"):
        guard.check("B")
    assert guard.fault is not None
    guard.check("A")
    assert guard.fault is None


async def test_nothing_is_refused_before_a_cluster_is_known(file: ClusterFile) -> None:
    ClusterGuard(file).check("A")

    assert file.text() is None


async def test_a_cluster_that_the_settings_do_not_name_is_refused(
    answering: list[str | None], file: ClusterFile
) -> None:
    answering.append("B")
    guard = ClusterGuard(file, "A")

    with pytest.raises(ForeignCluster):
        await guard.learn({})
    assert file.text() is None


async def test_settings_that_name_another_than_memory_are_refused(file: ClusterFile) -> None:
    await file.remember("A")
    guard = ClusterGuard(file, "B")

    with pytest.raises(ForeignCluster, match="EYE_KAFKA_CLUSTER_ID is B, but A is remembered"):
        await guard.learn({})


async def test_a_kafka_without_an_id_is_taken_until_one_is_known(
    answering: list[str | None], file: ClusterFile
) -> None:
    answering.append(None)
    guard = ClusterGuard(file)

    await guard.learn({})
    guard.check(None)
    await file.remember("A")
    await guard.learn({})

    with pytest.raises(ForeignCluster, match="one without an id, not A"):
        guard.check(None)


async def test_of_two_processes_the_first_one_decides(answering: list[str | None], file: ClusterFile) -> None:
    answering.append("B")
    guard = ClusterGuard(file)
    await file.remember("A")

    assert await file.remember("B") == "A"
    await guard.learn({})

    assert guard.known == "A"


@pytest.mark.parametrize("place", ["spool", "file/below"], ids=["deleted", "never written"])
async def test_no_fence_opens_since_nothing_is_remembered(
    answering: list[str | None], tmp_path: Path, place: str
) -> None:
    (tmp_path / "file").touch()
    file = ClusterFile(tmp_path / place, "events.raw")
    guard = ClusterGuard(file)
    answering += ["A", "B", "B", "A"]
    await guard.learn({})
    with suppress(OSError):
        file.path.unlink()

    with pytest.raises(ForeignCluster):
        guard.check("B")
    for _ in range(2):
        with pytest.raises(ForeignCluster):
            await guard.learn({})
    await guard.learn({})

    assert (guard.known, guard.fault) == ("A", None)


async def test_a_memory_that_cannot_be_read_is_no_empty_one(answering: list[str | None], file: ClusterFile) -> None:
    file.path.mkdir(parents=True)
    answering.append("B")

    with pytest.raises(OSError, match=r"events\.raw\.cluster"):
        await ClusterGuard(file).learn({})
    with pytest.raises(OSError, match=r"events\.raw\.cluster"):
        await ClusterGuard(GatewayMemory(file)).learn({})
    assert answering == ["B"]


async def test_an_empty_file_is_written_anew(answering: list[str | None], file: ClusterFile) -> None:
    file.path.parent.mkdir()
    file.path.touch()
    answering.append("A")

    await ClusterGuard(file).learn({})

    assert file.text() == "A"


async def test_an_accepted_cluster_is_noticed(file: ClusterFile) -> None:
    await file.remember("A")
    guard = ClusterGuard(file)
    await guard.learn({})
    assert not await guard.changed()

    file.replace("B")

    assert await guard.changed()
    await guard.learn({})
    guard.check("B")


async def test_a_directory_that_cannot_be_written_is_survived(
    answering: list[str | None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    guard = ClusterGuard(ClusterFile(tmp_path / "file" / "below", "events.raw"))
    answering.append("A")

    await guard.learn({})

    assert guard.known == "A"
    assert "can't be kept" in caplog.text


@pytest.mark.parametrize(
    ("kept", "remembered", "formerly", "read"),
    [
        (None, "A", [], "A"),
        ("A", "A", [], "A"),
        ("A", "B", ["A"], "B"),
        ("A", "B", ["C", "A"], "B"),
        ("A", "B", [], "A"),
        ("B", "B", ["A", "B"], "B"),
    ],
    ids=["no file", "the same", "accepted", "accepted twice", "a foreign database", "back again"],
)
async def test_a_gateway_follows_an_act_and_no_foreign_database(
    file: ClusterFile, kept: str | None, remembered: str, formerly: Sequence[str], read: str
) -> None:
    if kept is not None:
        await file.remember(kept)

    async def ask() -> AcceptedCluster:
        return AcceptedCluster(remembered, formerly)

    assert await GatewayMemory(file, ask).read() == read
    assert file.text() == read


def test_options_carry_the_guard_beside_the_name(file: ClusterFile) -> None:
    guard = ClusterGuard(file)

    assert guarded({"bootstrap_servers": "a:1"}, guard, "mine") == {"bootstrap_servers": "a:1", "client_id": "mine"}
    assert guarded({}, guard)["client_id"].guard is guard
    assert not hasattr(guarded({}, None)["client_id"], "guard")
