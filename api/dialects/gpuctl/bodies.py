"""What arrives where a document is expected: JSON with `yamlContent`, the document itself as JSON, or plain YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import from_json

from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml
from api.problems import FieldProblem, InvalidFields
from domain.failures import InvalidRequest

YAML_CONTENT: Final = "yamlContent"
DRY_RUN: Final = "dryRun"


@dataclass(frozen=True, slots=True)
class DocumentBody:
    """A document that was sent. `dry_run`: check and plan, make nothing."""

    document: YamlDocument
    dry_run: bool = False


def document_body_of(body: bytes) -> DocumentBody:
    """The document in a body, in whichever of the three forms; or InvalidRequest."""
    text = _text(body)
    content = _json(text)
    if content is None:
        return DocumentBody(load_yaml(text))
    dry_run = content.pop(DRY_RUN, None) or False
    if not isinstance(dry_run, bool):
        raise _wrong(DRY_RUN, "must be true or false")
    if YAML_CONTENT not in content:
        return DocumentBody(YamlDocument(content), dry_run)
    yaml_content = content.pop(YAML_CONTENT)
    if not isinstance(yaml_content, str):
        raise _wrong(YAML_CONTENT, "must be a text that holds YAML")
    if content:
        raise _wrong(next(iter(content)), f"there is no such field beside {YAML_CONTENT!r} (known here: {DRY_RUN})")
    return DocumentBody(load_yaml(yaml_content), dry_run)


def _text(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidRequest("the body is not UTF-8") from error
    if not text.strip():
        raise InvalidRequest("the body is empty; send a document")
    return text


def _json(text: str) -> dict[str, Any] | None:
    """None: it is no JSON object, so it may be YAML."""
    try:
        content = from_json(text, allow_inf_nan=False)
    except ValueError:
        return None
    return dict(content) if isinstance(content, Mapping) else None


def _wrong(name: str, sentence: str) -> InvalidFields:
    return InvalidFields([FieldProblem(name, "invalid", sentence)])
