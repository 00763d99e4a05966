"""A dialect as the application sees it: which paths it claims, what it serves there, how it says that something is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.responses import Response

from api.problems import Problem

METHOD_ORDER: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to speak to Berth.

    Everything under `prefix` is its own, unknown paths included; with `segments`, only what goes on with one of them.
    """

    name: str
    title: str
    prefix: str
    router: APIRouter
    render: Callable[[Problem], Response]
    requests: tuple[type[BaseModel], ...] = ()
    """Bodies that clients send; routes read them themselves, so OpenAPI is told of them here."""
    open_paths: frozenset[str] = frozenset()
    """Paths that need no login. Anywhere else under the prefix a stranger learns nothing, not even what exists."""
    segments: frozenset[str] = frozenset()
    """For dialects that share a prefix: the words behind it that are this one's; with `*` at its end, the beginning of one."""
    further_prefix: str = ""
    """Another prefix under which everything is its own."""

    def claims(self, path: str) -> bool:
        """Whether this path is this dialect's."""
        if self.further_prefix and _is_under(path, self.further_prefix):
            return True
        if not _is_under(path, self.prefix):
            return False
        first = path.removeprefix(self.prefix).removeprefix("/").partition("/")[0]
        return not self.segments or any(_is_meant(first, segment) for segment in self.segments)

    def needs_login(self, path: str) -> bool:
        """Whether a stranger must be turned away before anything is said about this path."""
        return bool(self.prefix) and path not in self.open_paths

    def allowed_methods(self, path: str) -> list[str]:
        """Methods that are served at a path; HEAD wherever GET is."""
        served: set[str] = set()
        for route in self.router.routes:
            if isinstance(route, APIRoute) and route.path_regex.fullmatch(path):
                served |= route.methods or set()
        if not served:
            return []
        served |= {"OPTIONS"} | ({"HEAD"} if "GET" in served else set())
        return [method for method in METHOD_ORDER if method in served]


def _is_under(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _is_meant(word: str, segment: str) -> bool:
    return word.startswith(segment[:-1]) if segment.endswith("*") else word == segment
