"""Kinds of change of an event type: the fields before and after, and who breaks by it."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from schemas.payload import Payload

Fields = dict[str, Any]


def text(**rules: Any) -> Any:
    return Annotated[str, Field(**rules)]


def number(**rules: Any) -> Any:
    return Annotated[int, Field(**rules)]


def many(of: Any = str, **rules: Any) -> Any:
    return Annotated[list[of], Field(**rules)]


class Open(BaseModel):
    """An object that takes fields which are not named."""

    model_config = ConfigDict(extra="allow", strict=True)


class Closed(BaseModel):
    """An object that takes none."""

    model_config = ConfigDict(extra="forbid", strict=True)


def inner(base: type[BaseModel] = Closed, /, **fields: Any) -> Any:
    return create_model("Inner", __base__=base, **fields)


A = {"a": str}
NEITHER, SENDERS, READERS, BOTH = (False, False), (True, False), (False, True), (True, True)
"""Who breaks: old senders, old readers."""


class Tree(BaseModel):
    """An object that holds others of its kind."""

    model_config = ConfigDict(extra="forbid", strict=True)
    parts: list[Tree]


class LargeTree(BaseModel):
    """A tree of which nothing is asked."""

    model_config = ConfigDict(extra="forbid", strict=True)
    parts: list[LargeTree] = []


KINDS: dict[str, tuple[Fields, Fields, tuple[bool, bool]]] = {
    "nothing changed": (A, A, NEITHER),
    "description added": (A, {"a": text(description="d", title="t", examples=["x"])}, NEITHER),
    "field deprecated": (A, {"a": text(deprecated=True)}, NEITHER),
    "field marked as personal": (A, {"a": text(json_schema_extra={"pii": True})}, NEITHER),
    "required field added": (A, A | {"b": int}, BOTH),
    "optional field added": (A, A | {"b": (int, 1)}, READERS),
    "nullable optional field added": (A, A | {"b": (int | None, None)}, READERS),
    "required field removed": (A | {"b": int}, A, BOTH),
    "optional field removed": (A | {"b": (int, 1)}, A, SENDERS),
    "required field renamed": (A, {"b": str}, BOTH),
    "optional field renamed": ({"a": (str, "")}, {"b": (str, "")}, BOTH),
    "field becomes optional": (A, {"a": (str, "x")}, READERS),
    "field becomes required": ({"a": (str, "x")}, A, SENDERS),
    "default changed": ({"a": (str, "x")}, {"a": (str, "y")}, NEITHER),
    "field becomes nullable": (A, {"a": str | None}, READERS),
    "null is refused": ({"a": str | None}, A, SENDERS),
    "integer widened to number": ({"a": int}, {"a": float}, READERS),
    "number narrowed to integer": ({"a": float}, {"a": int}, SENDERS),
    "text becomes integer": (A, {"a": int}, BOTH),
    "boolean becomes text": ({"a": bool}, A, BOTH),
    "text becomes array": (A, {"a": list[str]}, BOTH),
    "object becomes text": ({"a": dict[str, Any]}, A, BOTH),
    "union widened": (A, {"a": str | int}, READERS),
    "union narrowed": ({"a": str | int}, A, SENDERS),
    "union reordered": ({"a": str | int}, {"a": int | str}, NEITHER),
    "anything instead of text": (A, {"a": Any}, READERS),
    "text instead of anything": ({"a": Any}, A, SENDERS),
    "enum widened": ({"a": Literal["x"]}, {"a": Literal["x", "y"]}, READERS),
    "enum narrowed": ({"a": Literal["x", "y"]}, {"a": Literal["x"]}, SENDERS),
    "enum reordered": ({"a": Literal["x", "y"]}, {"a": Literal["y", "x"]}, NEITHER),
    "enum value replaced": ({"a": Literal["x", "y"]}, {"a": Literal["x", "z"]}, BOTH),
    "enum instead of text": (A, {"a": Literal["x", "y"]}, SENDERS),
    "text instead of enum": ({"a": Literal["x", "y"]}, A, READERS),
    "boolean narrowed to true": ({"a": bool}, {"a": Literal[True]}, SENDERS),
    "pattern added": (A, {"a": text(pattern="^[a-z]+$")}, SENDERS),
    "pattern removed": ({"a": text(pattern="^[a-z]+$")}, A, READERS),
    "least length raised": ({"a": text(min_length=1)}, {"a": text(min_length=3)}, SENDERS),
    "least length lowered": ({"a": text(min_length=3)}, {"a": text(min_length=1)}, READERS),
    "greatest length lowered": ({"a": text(max_length=9)}, {"a": text(max_length=5)}, SENDERS),
    "greatest length raised": ({"a": text(max_length=5)}, {"a": text(max_length=9)}, READERS),
    "greatest length added": (A, {"a": text(max_length=5)}, SENDERS),
    "lengths shifted": ({"a": text(min_length=1, max_length=5)}, {"a": text(min_length=3, max_length=9)}, BOTH),
    "minimum raised": ({"a": number(ge=1)}, {"a": number(ge=2)}, SENDERS),
    "minimum lowered": ({"a": number(ge=2)}, {"a": number(ge=1)}, READERS),
    "minimum becomes exclusive": ({"a": number(ge=1)}, {"a": number(gt=1)}, SENDERS),
    "exclusive minimum becomes plain": ({"a": number(gt=1)}, {"a": number(ge=1)}, READERS),
    "minimum added": ({"a": int}, {"a": number(ge=0)}, SENDERS),
    "maximum lowered": ({"a": number(le=9)}, {"a": number(le=8)}, SENDERS),
    "maximum raised": ({"a": number(le=8)}, {"a": number(le=9)}, READERS),
    "maximum becomes exclusive": ({"a": number(le=9)}, {"a": number(lt=9)}, SENDERS),
    "maximum removed": ({"a": number(le=9)}, {"a": int}, READERS),
    "bounds shifted": ({"a": number(ge=1, le=5)}, {"a": number(ge=3, le=9)}, BOTH),
    "step added": ({"a": int}, {"a": number(multiple_of=5)}, SENDERS),
    "step removed": ({"a": number(multiple_of=5)}, {"a": int}, READERS),
    "step widened to a divisor": ({"a": number(multiple_of=6)}, {"a": number(multiple_of=3)}, READERS),
    "scale of a decimal narrowed": (
        {"a": Annotated[Decimal, Field(max_digits=8, decimal_places=3)]},
        {"a": Annotated[Decimal, Field(max_digits=7, decimal_places=2)]},
        (True, True),  # as texts, whose patterns can't be compared
    ),
    "items widened": ({"a": list[int]}, {"a": list[int | str]}, READERS),
    "items narrowed": ({"a": list[int | str]}, {"a": list[int]}, SENDERS),
    "least items raised": ({"a": many(min_length=1)}, {"a": many(min_length=2)}, SENDERS),
    "most items raised": ({"a": many(max_length=2)}, {"a": many(max_length=3)}, READERS),
    "items become unequal": ({"a": list[int]}, {"a": many(int, json_schema_extra={"uniqueItems": True})}, SENDERS),
    "list becomes a pair": ({"a": list[int]}, {"a": tuple[int, int]}, SENDERS),
    "place of a pair widened": ({"a": tuple[int, int]}, {"a": tuple[int, int | str]}, READERS),
    "nested required field added": ({"a": inner(x=int)}, {"a": inner(x=int, y=int)}, BOTH),
    "nested optional field added": ({"a": inner(x=int)}, {"a": inner(x=int, y=(int, 0))}, READERS),
    "nested field removed": ({"a": inner(x=int, y=(int, 0))}, {"a": inner(x=int)}, SENDERS),
    "nested type narrowed": ({"a": inner(x=float)}, {"a": inner(x=int)}, SENDERS),
    "nested type narrowed in a list": ({"a": many(inner(x=float))}, {"a": many(inner(x=int))}, SENDERS),
    "nested object closed": ({"a": inner(Open, x=int)}, {"a": inner(Closed, x=int)}, SENDERS),
    "nested object opened": ({"a": inner(Closed, x=int)}, {"a": inner(Open, x=int)}, READERS),
    "field named in an open object": ({"a": inner(Open)}, {"a": inner(Open, x=(int, 0))}, SENDERS),
    "values of a map narrowed": ({"a": dict[str, float]}, {"a": dict[str, int]}, SENDERS),
    "values of a map widened": ({"a": dict[str, int]}, {"a": dict[str, Any]}, READERS),
    "recursive field becomes optional": ({"a": Tree}, {"a": LargeTree}, READERS),
    "recursive field unchanged": ({"a": Tree}, {"a": Tree}, NEITHER),
    "pattern that Python does not know": ({"a": text(pattern=r"^\p{L}+$")}, {"a": text(pattern=r"^\p{N}+$")}, BOTH),
    "object instead of a map": ({"a": dict[str, int]}, {"a": inner(x=int)}, SENDERS),
}


def model(fields: Fields) -> type[Payload]:
    """Return an event type with these fields: a type, or a type with its default."""
    given: Any = {name: kind if isinstance(kind, tuple) else (kind, ...) for name, kind in fields.items()}
    return create_model("Event", __base__=Payload, **given)
