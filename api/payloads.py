"""Reads what a request carries, after its caller is known.

JSON under whatever content type, bounded in size, checked against the dialect's schema. Framework parsing is left aside
because it would read the body first and ask who sends it later, and because curl's default content type says something
else than JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json

from api.auth.current_caller import CurrentCaller
from api.problems import FieldProblem, InvalidFields, TooLarge
from domain.failures import InvalidRequest

BODY_BYTES_MAX: Final = 256 * 1024
"""Many times the largest valid request, but for those that hold many: their routes name a bound of their own."""

_Model = TypeVar("_Model", bound=BaseModel)


class NotJson(InvalidRequest):
    """The body is not valid JSON."""


def payload(model: type[_Model], *, or_query: bool = False, bytes_max: int = BODY_BYTES_MAX) -> Dependency:
    """The request's body as this model, read once the caller is known; or the same fields as query parameters."""

    async def read(request: Request, _caller: CurrentCaller) -> _Model:
        return await _read(request, model, or_query=or_query, bytes_max=bytes_max)

    return _dependency(read)


def content(reader: Callable[[bytes], Any]) -> Dependency:
    """The request's body as a dialect of its own forms reads it, once the caller is known."""

    async def read(request: Request, _caller: CurrentCaller) -> Any:
        return reader(await _body(request))

    return _dependency(read)


def open_content(reader: Callable[[bytes], Any]) -> Dependency:
    """The same as `content`, for the few routes that need no login."""

    async def read(request: Request) -> Any:
        return reader(await _body(request))

    return _dependency(read)


def parsed(body: bytes, choose: Callable[[Any], type[_Model]]) -> _Model:
    """JSON as the model that is chosen by what it holds. Raises NotJson, InvalidFields."""
    content = _json(body) if body.strip() else {}
    return _as_model(content, choose(content))


def validated(content: Any, model: type[_Model]) -> _Model:
    """What was read otherwise as this model. Raises InvalidFields."""
    return _as_model(content, model)


def open_payload(model: type[_Model]) -> Dependency:
    """The same, for the few routes that need no login."""

    async def read(request: Request) -> _Model:
        return await _read(request, model, or_query=False)

    return _dependency(read)


def body_of(model: type[BaseModel], *, required: bool = True) -> dict[str, Any]:
    """What OpenAPI says about a body that is read by `payload`."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    return {"requestBody": {"required": required, "content": {"application/json": {"schema": schema}}}}


def query_of(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says about fields that are read as query parameters."""
    schema = model.model_json_schema()
    required = set(schema.get("required", ()))
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in required, "schema": part}
            for name, part in schema["properties"].items()
        ]
    }


def fields_of(errors: list[ErrorDetails]) -> InvalidFields:
    """The validator's findings as a failure that every dialect can put in its words."""
    return InvalidFields(
        [
            FieldProblem(".".join(str(part) for part in error["loc"]) or "body", error["type"], error["msg"])
            for error in errors
        ]
    )


def _dependency(read: Callable[..., Any]) -> Dependency:
    dependency: Dependency = Depends(read)
    return dependency


async def _read(request: Request, model: type[_Model], *, or_query: bool, bytes_max: int = BODY_BYTES_MAX) -> _Model:
    body = await _body(request, bytes_max)
    content = _json(body) if body.strip() else {}
    if or_query and content is None:
        content = {}
    if or_query and isinstance(content, Mapping):
        content = {**request.query_params, **content}
    return _as_model(content, model)


def _as_model(content: Any, model: type[_Model]) -> _Model:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise fields_of(error.errors(include_url=False, include_context=False, include_input=False)) from error


async def _body(request: Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > bytes_max:
        raise _too_large(bytes_max)
    parts = bytearray()
    async for chunk in request.stream():
        parts += chunk
        if len(parts) > bytes_max:
            raise _too_large(bytes_max)
    return bytes(parts)


def _json(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise NotJson(f"the body is not valid JSON: {error}") from error


def _too_large(bytes_max: int) -> TooLarge:
    return TooLarge(f"the body is larger than {bytes_max // 1024} KiB", bytes_max=bytes_max)
