"""Priority of a request: one number from 0 to 300 in three bands, the same for every dialect."""

from __future__ import annotations

from enum import StrEnum

from domain.failures import InvalidRequest

PRIORITY_MAX = 300
_LOW_MAX, _MEDIUM_MAX = 100, 200
PRIORITY_DEFAULT = 101


class Band(StrEnum):
    """The three bands; a stronger band always goes first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


def band_of(priority: int) -> Band:
    """Low 0-100, medium 101-200, high 201-300."""
    if priority <= _LOW_MAX:
        return Band.LOW
    return Band.MEDIUM if priority <= _MEDIUM_MAX else Band.HIGH


def checked_priority(priority: int | None) -> int:
    """The priority itself, the default when absent, or InvalidRequest."""
    if priority is None:
        return PRIORITY_DEFAULT
    if not 0 <= priority <= PRIORITY_MAX:
        raise InvalidRequest(f"priority must be from 0 to {PRIORITY_MAX}, not {priority}")
    return priority
