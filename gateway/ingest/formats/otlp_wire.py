"""OTLP's protobuf, read so that one broken log record costs no other, and written as OTLP's JSON.

The messages are those of opentelemetry-proto, but for two things: a text that is no UTF-8 is taken, and a log record is
bytes until its turn comes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.resource.v1 import resource_pb2

Json = dict[str, Any]

_encode = msgspec.json.Encoder().encode


class WireScope(NamedTuple):
    """The log records of one scope as bytes; the attributes of its resource, and itself, as OTLP's JSON has them."""

    records: Sequence[bytes]
    resource: bytes
    scope: bytes


def read_request(body: bytes) -> Iterator[WireScope]:
    """Yield the scopes of an ExportLogsServiceRequest. Raises ValueError for a body that is none."""
    for of_resource in _parse(_request, body).resource_logs:
        resource = _as_json(_attributes(of_resource.resource.attributes))
        for of_scope in of_resource.scope_logs:
            scope = of_scope.scope
            described = {"name": _text(scope.name), "version": _text(scope.version)}
            in_json = _as_json(described | {"attributes": _attributes(scope.attributes)})
            yield WireScope(of_scope.log_records, resource, in_json)


def record_as_json(value: bytes) -> bytes:
    """Return a log record as OTLP's JSON. Raises ValueError for bytes that are none."""
    record = _parse(_record, value)
    found = {
        "timeUnixNano": str(record.time_unix_nano),
        "observedTimeUnixNano": str(record.observed_time_unix_nano),
        "severityNumber": record.severity_number,
        "severityText": _text(record.severity_text),
        "eventName": _text(record.event_name),
        "body": _value(record.body) if record.HasField("body") else None,
        "attributes": _attributes(record.attributes),
        "droppedAttributesCount": record.dropped_attributes_count,
        "flags": record.flags,
        "traceId": record.trace_id.hex(),
        "spanId": record.span_id.hex(),
    }
    return _as_json({name: value for name, value in found.items() if value not in (None, "", 0, "0", [])})


def _parse(kind: Any, value: bytes) -> Any:
    try:
        return kind.FromString(value)
    except DecodeError as error:
        raise ValueError(str(error)) from None


def _attributes(found: Iterable[Any]) -> list[Json]:
    return [{"key": _text(each.key), "value": _value(each.value)} for each in found]


def _value(found: Any) -> Json:
    """Return an AnyValue as OTLP's JSON has it: an integer as text, NaN and Infinity by name."""
    match found.WhichOneof("value"):
        case "string_value":
            return {"stringValue": _text(found.string_value)}
        case "bool_value":
            return {"boolValue": found.bool_value}
        case "int_value":
            return {"intValue": str(found.int_value)}
        case "double_value":
            return {"doubleValue": _double(found.double_value)}
        case "array_value":
            return {"arrayValue": {"values": [_value(each) for each in found.array_value.values]}}
        case "kvlist_value":
            return {"kvlistValue": {"values": _attributes(found.kvlist_value.values)}}
        case "bytes_value":
            return {"bytesValue": base64.b64encode(found.bytes_value).decode()}
    return {}


def _double(number: float) -> float | str:
    if number != number:
        return "NaN"
    return number if abs(number) != float("inf") else "Infinity" if number > 0 else "-Infinity"


def _text(sent: bytes) -> str:
    return sent.decode("utf-8", "surrogateescape")


def _as_json(value: Json | list[Json]) -> bytes:
    try:
        return _encode(value)
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value).encode()


def _loosened(name: str) -> FileDescriptorProto:
    """Return a file of opentelemetry-proto with texts and log records as bytes."""
    file = FileDescriptorProto.FromString(_FILES[name])
    for message in file.message_type:
        _loosen(message)
    return file


def _loosen(message: DescriptorProto) -> None:
    for field in message.field:
        if field.type == FieldDescriptorProto.TYPE_STRING or field.name == "log_records":
            field.type = FieldDescriptorProto.TYPE_BYTES
            field.ClearField("type_name")


_FILES = {file.DESCRIPTOR.name: file.DESCRIPTOR.serialized_pb for file in (common_pb2, resource_pb2, logs_pb2)}
_pool = descriptor_pool.DescriptorPool()
for _name in _FILES:
    _pool.Add(_loosened(_name))


def _message(name: str) -> Any:
    return message_factory.GetMessageClass(_pool.FindMessageTypeByName(f"opentelemetry.proto.logs.v1.{name}"))


_request, _record = _message("LogsData"), _message("LogRecord")
"""LogsData has the same fields as ExportLogsServiceRequest."""
