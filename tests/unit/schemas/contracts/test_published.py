"""A process never judges by a catalogue that breaks the published one, unless that is said by name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from eye.operations.schemas import ExportFormat, write_documents
from schemas.catalogue import CatalogueError
from schemas.contracts.published import PublishedError, judging_rules
from schemas.settings import Settings

SIGNUP = """\
from schemas.payload import Payload


class Signup(Payload, category="account", name="signup"):
    plan: str
"""
SECOND = (
    SIGNUP
    + """

class SignupWithSeats(Signup, category="account", name="signup", version=2, default_since="2026-12-01T00:00Z"):
    seats: int
"""
)


@pytest.fixture
def published(tmp_path: Path) -> Settings:
    """Return the settings of a deployment whose catalogue was published."""
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "account.py").write_text(SIGNUP)
    settings = Settings(event_types=[str(tmp_path / "types")], published_types=tmp_path / "export")
    write_documents(settings, tmp_path / "export", ExportFormat)
    return settings


def change(settings: Settings, text: str) -> None:
    """Write the file anew, with a later time: Python's compiled form is known by whole seconds and the size."""
    file = Path(settings.event_types[0]) / "account.py"
    file.write_text(text)
    os.utime(file, (file.stat().st_atime, file.stat().st_mtime + 5))


@pytest.mark.parametrize("text", [SIGNUP, SECOND, SIGNUP.replace("plan: str", "plan: str | None = None")])
def test_a_catalogue_that_keeps_what_was_published_judges(published: Settings, text: str) -> None:
    change(published, text)

    assert judging_rules(published).catalogue.find("account", "signup")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (SIGNUP.replace("plan", "tariff"), r"account/signup/1 at \$.data.plan: .*refused \(and 1 more\)"),
        (SIGNUP.replace("plan: str", "plan: int"), r"account/signup/1 at \$.data.plan: .*string is refused"),
        (SIGNUP.replace("signup", "login"), r"account/signup/1 at \$: events of this version are rejected"),
    ],
)
def test_one_that_breaks_it_refuses_to_judge_until_told(published: Settings, text: str, reason: str) -> None:
    change(published, text)

    with pytest.raises(PublishedError, match=rf"{reason}.*set EYE_ACCEPTED_BREAKS=account/signup/1$"):
        judging_rules(published)

    told = published.model_copy(update={"accepted_breaks": ["account/signup/1"]})
    assert judging_rules(told)


def test_nothing_is_compared_where_nothing_was_published(published: Settings) -> None:
    change(published, SIGNUP.replace("plan", "tariff"))

    assert judging_rules(published.model_copy(update={"published_types": None}))


@pytest.mark.parametrize("text", [None, "[]", "{}", "no JSON", '{"x-event-type": 1}'])
def test_an_export_that_cannot_be_read_is_no_permission(published: Settings, tmp_path: Path, text: str | None) -> None:
    (tmp_path / "other").mkdir()
    if text is not None:
        (tmp_path / "other" / "account.signup.v1.json").write_text(text)

    with pytest.raises(CatalogueError, match="other"):
        judging_rules(published.model_copy(update={"published_types": tmp_path / "other"}))


def test_the_versions_that_may_break_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYE_ACCEPTED_BREAKS", "account/signup/1, shop/order/2")
    monkeypatch.setenv("EYE_PUBLISHED_TYPES", "")

    settings = Settings()

    assert settings.accepted_breaks == ["account/signup/1", "shop/order/2"]
    assert settings.published_types is None
