"""How the native API is asked: one call, its answer in a shape, pages one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar
from urllib.parse import quote
from uuid import UUID, uuid4

from pydantic import BaseModel, ValidationError

from cli.client.answers import Answer
from cli.client.failures import UNEXPECTED, ApiFailure, Invalid
from cli.client.transport import Call, Transport

PREFIX = "/berth/v1"
PAGE_SIZE = 100

Shape = TypeVar("Shape", bound=BaseModel)


class Asking:
    """One server, one credential; what can be asked is the matter of those who inherit this."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _create(self, shape: type[Shape], path: str, body: dict[str, Any], idempotency_key: str) -> Shape:
        key = idempotency_key or str(uuid4())
        return self._read(shape, Call("POST", f"{PREFIX}/{path}", body=body, idempotency_key=key))

    def _get(self, shape: type[Shape], path: str, **query: object) -> Shape:
        return self._read(shape, Call("GET", f"{PREFIX}/{path}", query=query))

    def _items(self, shape: type[Shape], path: str) -> list[Shape]:
        return [self._parsed(shape, item) for item in self._get(Page, path).items]

    def _pages(self, shape: type[Shape], path: str, **query: object) -> Iterator[Shape]:
        after: str | None = None
        while True:
            page = self._get(Page, path, **query, limit=PAGE_SIZE, after=after)
            yield from (self._parsed(shape, item) for item in page.items)
            # a feed names where to go on even when nothing more is there: a short page is the last one
            if page.next is None or len(page.items) < PAGE_SIZE:
                return
            after = page.next

    def _read(self, shape: type[Shape], call: Call) -> Shape:
        answer = self._transport.send(call)
        try:
            return self._parsed(shape, answer.json())
        except ValueError as error:
            raise _strange(str(answer.url)) from error

    def _parsed(self, shape: type[Shape], body: object) -> Shape:
        try:
            return shape.model_validate(body)
        except ValidationError as error:
            raise _strange(shape.__name__) from error


class Page(Answer):
    """Some of a list; `next` is where to go on."""

    items: list[dict[str, Any]]
    next: str | None = None


def segment(name: UUID | str) -> str:
    """A name as one segment of a path, whatever it holds; what would be another path is no name."""
    text = str(name)
    if text in {"", ".", ".."}:
        raise Invalid(f"{text!r} names nothing", code="invalid_request")
    return quote(text, safe="")


def _strange(what: str) -> ApiFailure:
    return ApiFailure(f"{what}: this is not what a Berth server answers", code=UNEXPECTED)
