"""OTLP's answers in the encoding of the request: what became of its log records, or why it was refused."""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf.json_format import MessageToDict
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status as RpcStatus
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from gateway.ingest.formats.format import Reply, json_reply
from gateway.ingest.results import OK, Answer
from gateway.problems import Problem

PROTOBUF, JSON = "application/x-protobuf", "application/json"

_TOLD = 5
"""Most log records of which the answer says why they were refused."""

_DOMAIN = "the-eye"
_INVALID_ARGUMENT, _UNAVAILABLE, _INTERNAL = 3, 14, 13
_RPC_CODES = {401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 429: 8, 500: _INTERNAL, 503: _UNAVAILABLE}
"""The codes of google.rpc for our statuses; any other is an invalid argument."""


def export_reply(answer: Answer, *, in_json: bool) -> Reply:
    """Return an ExportLogsServiceResponse; in JSON with our results beside it."""
    response = ExportLogsServiceResponse()
    if answer.rejected:
        response.partial_success.rejected_log_records = answer.rejected
        response.partial_success.error_message = _reasons(answer)
    if not in_json:
        return Reply(response.SerializeToString(), content_type=PROTOBUF)
    return json_reply(answer, **MessageToDict(response))


def status_reply(problem: Problem, *, in_json: bool) -> Reply:
    """Return a google.rpc.Status; our own code is the reason in its details."""
    status = RpcStatus(code=_RPC_CODES.get(problem.status, _INVALID_ARGUMENT), message=problem.detail)
    status.details.add().Pack(ErrorInfo(reason=problem.code, domain=_DOMAIN))
    body: bytes = status.SerializeToString() if not in_json else _encode(MessageToDict(status))
    return Reply(body, problem.status, JSON if in_json else PROTOBUF, problem.headers)


def _reasons(answer: Answer) -> str:
    refused = [result for result in answer.results if result.status is not OK]
    told = [
        f"log record {result.index}: {'; '.join(f'{e.path} {e.message}' for e in result.errors)}"
        for result in refused[:_TOLD]
    ]
    more = [f"and {len(refused) - _TOLD} more"] if len(refused) > _TOLD else []
    return ". ".join([*told, *more])


def _encode(document: Any) -> bytes:
    return msgspec.json.encode(document)
