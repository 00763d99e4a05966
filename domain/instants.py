"""Instants as people read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def spoken(instant: datetime) -> str:
    """To the second, as in `2026-11-21 14:20:00 UTC`; it is in UTC already."""
    return f"{instant:%Y-%m-%d %H:%M:%S} UTC"
