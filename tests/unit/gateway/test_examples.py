"""The examples of the OpenAPI document are events that the rules accept."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel, Field, model_validator

from gateway.routes.examples import event_examples
from gateway.routes.openapi import openapi
from schemas.catalogue import Catalogue, EventType
from schemas.contracts.samples import example_payload
from schemas.payload import Payload
from schemas.settings import Settings


class Address(BaseModel):
    city: str


class Order(Payload, category="order", name="placed"):
    id: Annotated[str, Field(min_length=8, max_length=9)]
    plan: Literal["free", "paid"]
    seats: Annotated[int, Field(ge=3, le=9)]
    price: Annotated[float, Field(gt=0, lt=1)]
    rebate: Annotated[int, Field(lt=0)]
    address: Address
    tags: Annotated[list[str], Field(min_length=2)]
    note: str | None
    extra: dict[str, Any]
    later: str = "optional"


class Odd(Payload, category="order", name="odd"):
    code: Annotated[str, Field(pattern=r"^\d{3}$")]


class Buggy(Payload, category="order", name="buggy"):
    code: str

    @model_validator(mode="after")
    def fail(self) -> Buggy:
        raise ZeroDivisionError


def of(model: type[Payload], version: int = 1) -> EventType:
    assert model.event_category is not None
    assert model.event_name is not None
    return EventType(model.event_category, model.event_name, version, model)


def test_each_event_type_has_an_example_that_is_accepted() -> None:
    catalogue = Settings().rules().catalogue
    content = openapi(Settings(), catalogue)["paths"]["/events"]["post"]["requestBody"]["content"]

    examples = content["application/json"]["examples"]
    assert set(examples) == {f"{known.category} / {known.name}" for known in catalogue}
    for known in catalogue:
        known.check(msgspec.json.encode(examples[f"{known.category} / {known.name}"]["value"]["data"]))


def test_bounds_choices_and_nested_models_are_kept() -> None:
    payload = example_payload(of(Order))

    assert payload is not None
    assert payload["address"] == {"city": "city"}
    assert "later" not in payload


@pytest.mark.parametrize("model", [Odd, Buggy])
def test_a_type_without_an_acceptable_value_has_no_example(model: type[Payload]) -> None:
    assert event_examples(Catalogue([of(model)])) == {}


def test_dates_and_ids_that_only_texts_can_be_have_an_example() -> None:
    class Visit(Payload, category="visit", name="made"):
        on: date
        id: UUID

    assert example_payload(of(Visit)) is not None
