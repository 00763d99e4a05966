"""The OpenAPI documents: one of everything, one per dialect. They are what `tests/api/snapshots` keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.routing import BaseRoute

from api.dialect import Dialect

VERSION: Final = "1"
REF: Final = "#/components/schemas/{model}"
BEARER: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, or the token that a login gave for one.",
}
UNUSED: Final = ("HTTPValidationError", "ValidationError")
"""The framework's own error bodies; no dialect answers with them."""


def document(title: str, dialects: Sequence[Dialect]) -> dict[str, Any]:
    """The document of these dialects together."""
    routes: list[BaseRoute] = [route for dialect in dialects for route in dialect.router.routes]
    found = get_openapi(title=title, version=VERSION, routes=routes)
    schemas = found.setdefault("components", {}).setdefault("schemas", {})
    schemas.update(_request_schemas(dialects))
    for name in UNUSED:
        schemas.pop(name, None)
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    found["components"]["securitySchemes"] = {"bearer": BEARER}
    for path, operations in found["paths"].items():
        for operation in operations.values():
            _take_unused(operation["responses"])
        if any(dialect.claims(path) and dialect.needs_login(path) for dialect in dialects):
            for operation in operations.values():
                operation["security"] = [{"bearer": []}]
    return found


def _take_unused(responses: dict[str, Any]) -> None:
    """The framework adds a 422 where a dialect has not said how it answers what is not valid, which is with 400."""
    refusal = responses.get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if refusal.get("$ref") in {REF.format(model=name) for name in UNUSED}:
        del responses["422"]


def _request_schemas(dialects: Sequence[Dialect]) -> dict[str, Any]:
    models = [(model, "validation") for dialect in dialects for model in dialect.requests]
    _, definitions = models_json_schema(models, ref_template=REF)  # type: ignore[arg-type]
    schemas: dict[str, Any] = definitions.get("$defs", {})
    return schemas
