"""Reads the named SQL statements of `ledger/sql/*.sql`: Python holds no SQL, so every statement can be read and explained."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADER = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(subject: str) -> Mapping[str, str]:
    """Statements of one file by name; each begins with a line `-- name: …` and a comment that says why it is so."""
    text = (files("ledger") / "sql" / f"{subject}.sql").read_text("utf-8")
    parts = _HEADER.split(text)[1:]
    return {name: f"-- {subject}.{name}\n{body.strip()}" for name, body in zip(parts[::2], parts[1::2], strict=True)}
