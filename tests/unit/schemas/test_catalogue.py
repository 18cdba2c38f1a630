"""The catalogue: event types come from packages and directories, and what is wrong with them is a sentence."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest
from pydantic import ConfigDict, Field, ValidationError, field_validator

from schemas.catalogue import Catalogue, CatalogueError, EventType, load_catalogue
from schemas.event_types.page_interaction import Pageview
from schemas.judge import judge
from schemas.payload import Payload
from schemas.verdict import Accepted
from tests.support.builders import a_raw_record, an_event, the_rules

FIVE_LINES = """\
from schemas.payload import Payload


class Step(Payload, category="dance", name="step"):
    length: int
"""


def names(catalogue: Catalogue) -> list[tuple[str, str, int]]:
    return [(found.category, found.name, found.version) for found in catalogue]


def test_the_known_types_are_found_in_their_package() -> None:
    assert names(load_catalogue(["schemas.event_types"])) == [
        ("form interaction", "submit", 1),
        ("page interaction", "cta click", 1),
        ("page interaction", "pageview", 1),
    ]


def test_a_new_type_is_five_lines_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "dance.py").write_text(FIVE_LINES)

    rules = the_rules(event_types=["schemas.event_types", str(tmp_path)])

    event = an_event(category="dance", name="step", data={"length": 3})
    assert isinstance(judge(a_raw_record(event), rules), Accepted)
    assert not isinstance(judge(a_raw_record(event | {"data": {"length": "3"}}), rules), Accepted)


def test_of_a_directory_every_file_counts_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_text(FIVE_LINES)
    (tmp_path / "two.py").write_text(FIVE_LINES.replace("step", "jump"))
    (tmp_path / "three.txt").write_text("no Python")

    assert names(load_catalogue([str(tmp_path)])) == [("dance", "jump", 1), ("dance", "step", 1)]


def test_files_of_one_name_in_two_directories_are_two(tmp_path: Path) -> None:
    for word in ("step", "jump"):
        (tmp_path / word).mkdir()
        (tmp_path / word / "dance.py").write_text(FIVE_LINES.replace("step", word))

    assert len(names(load_catalogue([str(tmp_path / "step"), str(tmp_path / "jump")]))) == 2


def test_a_base_for_other_types_is_no_type_itself(tmp_path: Path) -> None:
    (tmp_path / "dance.py").write_text(
        "from schemas.payload import Payload\n"
        "class Dance(Payload):\n    dancer: str\n"
        "class Step(Dance, category='dance', name='step'):\n    length: int\n"
    )

    catalogue = load_catalogue([str(tmp_path)])

    [step] = catalogue
    assert set(step.json_schema()["properties"]) == {"dancer", "length"}


def test_the_same_version_twice_is_refused_and_both_modules_are_named() -> None:
    twice = [EventType("page interaction", "pageview", 1, Pageview)] * 2

    with pytest.raises(
        CatalogueError, match=r"page interaction/pageview version 1 is there twice: \S+page_interaction and \S+"
    ):
        Catalogue(twice)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("import nothing_of_this_name", "No module named 'nothing_of_this_name'"),
        ("def broken(:", "invalid syntax"),
        ("1 / 0", "division by zero"),
        ("from schemas.payload import Payload\nclass A(Payload, category='a'): ...", "A: an event type has both"),
        (
            "from schemas.payload import Payload\nclass A(Payload, default_since='soon'): ...",
            '"soon" is not an ISO 8601',
        ),
    ],
)
def test_a_broken_module_is_named_with_its_reason(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "dance.py").write_text(text)

    with pytest.raises(
        CatalogueError, match=f"^event types of {re.escape(repr(str(tmp_path)))} can't be imported: .*{reason}"
    ):
        load_catalogue([str(tmp_path)])


@pytest.mark.parametrize("place", ["no.such.package", "./no/such/directory", "schemas.ids", "schemas"])
def test_a_place_without_event_types_is_named(place: str) -> None:
    with pytest.raises(CatalogueError, match=re.escape(repr(place))):
        load_catalogue([place])


def test_an_empty_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match=r"holds no event type: a subclass of schemas\.payload\.Payload"):
        load_catalogue([str(tmp_path)])


class One(Payload, category="test", name="one", version=3):
    """Version 3."""


class OneOlder(Payload, category="test", name="one", version=2):
    """Version 2."""


def catalogue_of(*models: type[Payload]) -> Catalogue:
    return Catalogue(EventType("test", "one", model.event_version, model) for model in models)


def test_the_lowest_version_is_the_default_where_none_is_stated() -> None:
    for catalogue in (catalogue_of(One, OneOlder), catalogue_of(OneOlder, One)):
        default, latest = catalogue.find("test", "one"), catalogue.latest("test", "one")
        assert default
        assert latest
        assert (default.version, latest.version) == (2, 3)
        assert catalogue.find("test", "one", 3) == latest
        assert catalogue.find("test", "one", 1) is None
        assert catalogue.find("test", "two") is None
        assert catalogue.find("test", "two", 1) is None


class Stated(Payload, category="test", name="one", version=4, default=True, default_since="2027-01-01T00:00Z"):
    """The default from the beginning, and again from a moment."""


class StatedToo(Payload, category="test", name="one", version=5, default=True):
    """Another that says so."""


class SameMoment(Payload, category="test", name="one", version=6, default_since=["2027-01-01T01:00+01:00"]):
    """Another that begins at the same moment."""


def test_a_stated_default_counts() -> None:
    default = catalogue_of(One, Stated).find("test", "one")

    assert default
    assert default.version == 4


@pytest.mark.parametrize(
    ("second", "sentence"),
    [
        (StatedToo, r"test/one versions 4 and 5 are both the default"),
        (SameMoment, r"test/one versions 4 and 6 both become the default at 2027-01-01T00:00:00\+00:00"),
    ],
)
def test_two_defaults_of_a_type_are_refused(second: type[Payload], sentence: str) -> None:
    with pytest.raises(CatalogueError, match=sentence):
        catalogue_of(Stated, second)


def test_a_type_describes_itself_as_json_schema() -> None:
    catalogue = load_catalogue(["schemas.event_types"])

    schema = catalogue.find("page interaction", "pageview").json_schema()  # type: ignore[union-attr]

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["required"] == ["host", "path"]
    assert schema["additionalProperties"] is False


def test_values_are_taken_as_sent_and_never_converted() -> None:
    [cta_click, *_] = [found for found in load_catalogue(["schemas.event_types"]) if found.name == "cta click"]

    with pytest.raises(ValidationError) as refused:
        cta_click.check(b'{"host": 1, "path": true, "element": null, "more": 1}')

    assert len(refused.value.errors()) == 4


# a payload that the fast decoder takes is one that the model takes


class FastPayload(Payload):
    host: str
    seen: bool


class WithObject(Payload):
    host: str
    form: dict[str, Any]


class BoundedObject(Payload):
    form: Annotated[dict[str, Any], Field(max_length=1)]


class TypedObject(Payload):
    form: dict[str, int]


class Bounded(Payload):
    host: Annotated[str, Field(max_length=3)]


class Renamed(Payload):
    host: str = Field(alias="from")


class Stripped(Payload):
    model_config = ConfigDict(str_max_length=3)
    host: str


class Later(Payload):
    host: str

    def model_post_init(self, context: Any) -> None:
        raise ValueError("never")


class Checked(Payload):
    host: str

    @field_validator("host")
    @classmethod
    def never(cls, host: str) -> str:
        raise ValueError("never")


class Made(Payload):
    def __init__(self, **values: Any) -> None:
        raise ValueError("never")

    host: str


@pytest.mark.parametrize("model", [Bounded, Renamed, Stripped, Later, Checked, Made])
def test_rules_beyond_types_are_never_passed_over(model: type[Payload]) -> None:
    event_type = EventType("test", "one", 1, model)

    assert event_type.fast_payload is None
    with pytest.raises(ValueError, match=r"validation error|never"):
        event_type.check(b'{"host": "example"}')


@pytest.mark.parametrize(
    "data",
    [
        b'{"host": "h", "seen": 1}', b'{"host": "h"}', b'{"host": "h", "seen": true, "more": 1}', b"[]", b"{", b"",
        b'{"host": "h", "seen": "true"}', b'{"host": null, "seen": true}', b'{"host": "\xff", "seen": true}',
        b'{"host": "\\ud800", "seen": true}', b'{"host": "a\nb", "seen": true}', b'{"host": "h", "seen": true} x',
    ],
)  # fmt: skip
def test_plain_payloads_with_a_fault_are_refused_by_pydantic_itself(data: bytes) -> None:
    with pytest.raises(ValidationError):
        EventType("test", "one", 1, FastPayload).check(data)


def test_plain_payloads_without_a_fault_are_recognised_fast() -> None:
    event_type = EventType("test", "one", 1, FastPayload)

    event_type.check(b'{"seen": false, "host": "\\u00e9"}')

    assert event_type.fast_payload is not None
    assert event_type.fast_payload.is_flat
    event_type.fast_payload.decoder.decode(b'{"seen": false, "host": "\\u00e9"}')


def test_payloads_with_any_object_are_fast_and_not_flat() -> None:
    event_type, data = EventType("test", "one", 1, WithObject), b'{"host": "h", "form": {"a": [1, {"b": null}]}}'

    event_type.check(data)

    assert event_type.fast_payload is not None
    assert not event_type.fast_payload.is_flat
    event_type.fast_payload.decoder.decode(data)


@pytest.mark.parametrize("data", [b'{"host": "h", "form": []}', b'{"host": "h", "form": null}', b'{"host": "h"}'])
def test_what_is_no_object_is_refused_fast_and_by_pydantic(data: bytes) -> None:
    event_type = EventType("test", "one", 1, WithObject)

    assert event_type.fast_payload is not None
    with pytest.raises(msgspec.ValidationError):
        event_type.fast_payload.decoder.decode(data)
    with pytest.raises(ValidationError):
        event_type.check(data)


@pytest.mark.parametrize("model", [BoundedObject, TypedObject])
def test_rules_for_what_an_object_holds_are_never_passed_over(model: type[Payload]) -> None:
    assert EventType("test", "one", 1, model).fast_payload is None


class Priced(
    Payload,
    category="test",
    name="priced",
    owner="shop team",
    deprecated="use version 2",
    examples=[{"price": "1.15", "email": "a@example.com"}],
):
    """A price was shown."""

    price: Annotated[Decimal, Field(max_digits=6, decimal_places=2)]
    email: Annotated[str, Field(json_schema_extra={"pii": True})]


def test_a_schema_says_who_owns_it_and_what_is_personal() -> None:
    schema = EventType("test", "priced", 1, Priced).json_schema()

    assert (schema["x-owner"], schema["deprecated"], schema["x-deprecation"]) == ("shop team", True, "use version 2")
    assert schema["examples"] == [{"price": "1.15", "email": "a@example.com"}]
    assert schema["description"] == "A price was shown."
    assert schema["properties"]["email"]["pii"] is True


def test_the_schema_of_a_decimal_keeps_digits_and_scale() -> None:
    number, text = EventType("test", "priced", 1, Priced).json_schema()["properties"]["price"]["anyOf"]

    assert (number["x-max-digits"], number["x-decimal-places"]) == (6, 2)
    assert re.search(text["pattern"], "1234.56")
    assert not re.search(text["pattern"], "1.234")
    assert not re.search(text["pattern"], "12345.67")
