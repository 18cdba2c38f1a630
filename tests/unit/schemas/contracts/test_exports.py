"""The committed export is what the code makes, and valid by the standards' own validators."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import pytest
from jsonschema import Draft202012Validator
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import Field

from eye.operations.schemas import ExportFormat, documents, write_documents
from schemas.catalogue import Catalogue, EventType
from schemas.contracts.asyncapi import asyncapi
from schemas.contracts.json_schemas import file_name, json_schemas
from schemas.contracts.odcs import data_contract
from schemas.payload import Payload
from schemas.settings import Settings

EXPORT = Path(__file__).parents[4] / "schemas" / "export"


class Item(Payload):
    """A part of an order."""

    sku: str


class Order(
    Payload,
    category="shop",
    name="order: paid/now",
    owner="shop team",
    deprecated="use version 2",
    examples=[{"email": "a@example.com", "items": [{"sku": "x"}]}],
):
    """An order was paid."""

    email: Annotated[str, Field(json_schema_extra={"pii": True}, description="Who paid.")]
    items: list[Item]
    code: Annotated[str | None, Field(deprecated=True)] = None


CATALOGUE = Catalogue([EventType("shop", "order: paid/now", 1, Order)])


@pytest.mark.parametrize("form", ExportFormat)
def test_the_committed_export_is_what_the_code_makes(form: ExportFormat) -> None:
    for path, document in documents(Settings(), form).items():
        assert json.loads((EXPORT / path).read_text()) == document, f"{path}: `eye schemas export --to schemas/export`"


def test_no_file_of_the_export_is_of_a_version_that_is_gone() -> None:
    known = {path for form in ExportFormat for path in documents(Settings(), form)}

    assert {str(file.relative_to(EXPORT)) for file in EXPORT.rglob("*.json")} == known


def test_an_export_takes_out_what_is_known_no_more(tmp_path: Path) -> None:
    gone, other = tmp_path / "jsonschema" / "dance.step.v1.json", tmp_path / "jsonschema" / "notes.json"
    gone.parent.mkdir()
    gone.write_text("{}")
    other.write_text("{}")

    assert write_documents(Settings(), tmp_path, ExportFormat) == 5

    assert not gone.exists()
    assert other.exists()


def test_each_type_is_a_json_schema_of_2020_12() -> None:
    for schema in [*json_schemas(Settings().rules().catalogue).values(), *json_schemas(CATALOGUE).values()]:
        Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("catalogue", [CATALOGUE, Settings().rules().catalogue], ids=["nested", "built-in"])
def test_the_data_contract_is_valid_by_its_official_schema(catalogue: Catalogue) -> None:
    contract = data_contract(catalogue, Settings())
    official = files("open_data_contract_standard").joinpath("schema.json").read_text()

    faults = list(Draft202012Validator(json.loads(official)).iter_errors(contract))

    assert [f"{fault.json_path}: {fault.message[:200]}" for fault in faults] == []
    assert OpenDataContractStandard(**contract).id == "the-eye"


def test_the_data_contract_says_who_owns_what_and_what_is_personal() -> None:
    [order] = [part for part in data_contract(CATALOGUE, Settings())["schema"] if part["physicalType"] == "json"]

    assert order["customProperties"] == [{"property": "owner", "value": "shop team"}]
    assert (order["deprecated"], order["description"]) == (True, "An order was paid.")
    fields: dict[str, Any] = {field["name"]: field for field in order["properties"]}
    assert fields["email"]["classification"] == "pii"
    assert [name for name, field in fields.items() if field["required"]] == ["email", "items"]


def test_asyncapi_has_the_topics_with_a_message_for_each_version() -> None:
    document = asyncapi(CATALOGUE, Settings(topic_prefix="test."))

    assert [channel["address"] for channel in document["channels"].values()] == [
        "test.events.raw",
        "test.events.validated",
        "test.events.rejected",
        "test.sessions",
    ]
    [message] = document["channels"]["events.validated"]["messages"].values()
    assert message["examples"][0]["payload"]["data"] == Order.event_examples[0]
    assert (message["x-owner"], message["tags"]) == ("shop team", [{"name": "deprecated"}])


def test_two_types_never_share_a_file() -> None:
    names = [("a b", "c"), ("a_b", "c"), ("a.b", "c"), ("a", "b.c"), ("a-b", "c"), ("ä", "c"), ("a/b", "c"), ("A", "c")]

    files = [file_name(EventType(category, name, 1, Order)) for category, name in names]

    assert len(set(files)) == len(names)
    assert not any("/" in file for file in files)
