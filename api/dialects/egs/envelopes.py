"""The EGS envelope around every answer: exactly `statusCode, status, message, data, error`, whatever happened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from starlette.responses import Response

from api.auth.keys import MalformedKey
from api.dialects.egs import schemas
from api.problems import FieldProblem, InvalidFields, Problem
from domain.failures import AlreadyExists, BerthFailure, CredentialExpired, NotFound, WrongPhase
from domain.gpr import Phase

JSON: Final = "application/json"
SUCCESS_HEAD: Final = '{"statusCode":200,"status":"OK","message":"Success","data":'
SUCCESS_TAIL: Final = ',"error":null}'
MALFORMED_KEY: Final = "Api Key Configuration is invalid. Request a new API-key or contact administrator"

_DELETE_STATE: Final[Mapping[object, str]] = MappingProxyType({Phase.FAILED: "Error"})
_RELEASE_STATE: Final[Mapping[object, str]] = MappingProxyType(
    {
        Phase.QUEUED: "Queued",
        Phase.PROVISIONING: "Queued",
        Phase.RELEASING: "Queued",
        Phase.FAILED: "Error",
    }
)


class Refusal(BerthFailure):
    """A refusal that the document spells out: its own status and its own words in each place of the envelope."""

    code = "refused"

    def __init__(self, status: HTTPStatus, message: str, error_message: str, told: tuple[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.error_message = error_message
        self.told = told


def success(data: schemas.Answer) -> Response:
    """An answer to what went well."""
    return Response(f"{SUCCESS_HEAD}{data.model_dump_json()}{SUCCESS_TAIL}", media_type=JSON)


def failure(problem: Problem) -> Response:
    """An answer to everything else."""
    cause = problem.cause
    if isinstance(cause, Refusal):
        body = _error(cause.status, cause.message, cause.error_message, _told(cause.status, *cause.told))
    elif isinstance(cause, MalformedKey):
        body = _login_error(HTTPStatus.BAD_REQUEST, "UNHANDLED_REQUEST_ERROR", MALFORMED_KEY)
    elif problem.status is HTTPStatus.UNAUTHORIZED:
        message = cause.message if isinstance(cause, CredentialExpired) else "Unauthenticated"
        body = _login_error(problem.status, "UNAUTHENTICATED", message)
    else:
        message = _message_of(problem)
        body = _error(problem.status, message, message, _told(problem.status, message, *_sentences_of(problem)))
    return Response(body.model_dump_json(), body.statusCode, headers=dict(problem.headers), media_type=JSON)


@contextmanager
def deleting_gpr() -> Iterator[None]:
    """A GPR that was provisioned cannot be deleted: one of the document's two 500s."""
    try:
        yield
    except WrongPhase as wrong:
        state = _DELETE_STATE.get(wrong.details.get("phase"), "Successful")
        told = ("Error while deleting GPR", f"Cannot delete GPR in {state} state")
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "Cannot delete", "UNKNOWN", told) from wrong


@contextmanager
def releasing_early() -> Iterator[None]:
    """A GPR that is not provisioned cannot be released early: the other one."""
    message = "Unable to Early Release"
    try:
        yield
    except WrongPhase as wrong:
        state = _RELEASE_STATE.get(wrong.details.get("phase"), "Complete")
        told = ("Error while updating GPR", f"Cannot update early release of GPR in {state} state")
        raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, message, message, told) from wrong


@contextmanager
def listing_gprs(slice_name: str) -> Iterator[None]:
    """The list has its own words for a workspace that is not there."""
    message = "Slice Workspace Not Found"
    try:
        yield
    except NotFound as missing:
        told = (f"Error in listing GPR's for slice {slice_name}", missing.message)
        raise Refusal(HTTPStatus.NOT_FOUND, message, message, told) from missing


def _error(status: HTTPStatus, message: str, error_message: str, data: str) -> schemas.Failure:
    error = schemas.ErrorBody(errorKey="", message=error_message, data=data)
    return schemas.Failure(statusCode=status, status="Error", message=message, data=None, error=error)


def _login_error(status: HTTPStatus, key: str, message: str) -> schemas.Failure:
    error = schemas.ErrorBody(errorKey=key, message=message, data=None)
    return schemas.Failure(statusCode=status, status=key, message=message, data=None, error=error)


def _message_of(problem: Problem) -> str:
    if problem.status is HTTPStatus.CONFLICT:
        return "Already Exists" if isinstance(problem.cause, AlreadyExists) else "Conflict"
    if problem.status is HTTPStatus.UNPROCESSABLE_ENTITY:
        return "Bad Request"
    return problem.status.phrase


def _sentences_of(problem: Problem) -> tuple[str, str, Any]:
    """What is wrong, in one word, and field by field."""
    reason = "".join(word.capitalize() for word in problem.code.split("_"))
    if not isinstance(problem.cause, InvalidFields):
        return problem.message, reason, ""
    details = [
        {"reason": _reason_of(one), "message": _sentence_of(one), "field": one.field} for one in problem.cause.fields
    ]
    return "; ".join(detail["message"] for detail in details), reason, details


def _sentence_of(problem: FieldProblem) -> str:
    """In the manner of the validator that clients know."""
    name = f'"{problem.field}"'
    if problem.kind == "missing":
        return f"{name} is required"
    if problem.kind in {"string_too_short", "too_short"}:
        return f"{name} is not allowed to be empty"
    return f"{name} {problem.message[:1].lower()}{problem.message[1:]}"


def _reason_of(problem: FieldProblem) -> str:
    return "FieldValueRequired" if problem.kind == "missing" else "FieldValueInvalid"


def _told(status: HTTPStatus, summary: str, sentence: str, reason: str = "", details: Any = "") -> str:
    """JSON in a string, as the document has it; the sentence for people is its `Errormessage`."""
    detailed = {"Errormessage": sentence, "Reason": reason, "Details": details}
    error = {"Message": summary, "Status": status, "DetailedError": detailed, "StatusCode": status}
    return json.dumps({"error": {**error, "ReferenceDocumentation": "NA"}}, ensure_ascii=False)
