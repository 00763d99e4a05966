"""Who goes first. Fair share and age will join the key here; nothing else decides about strength."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from planner.snapshot import Claim


def in_order(queue: Iterable[Claim]) -> list[Claim]:
    """Strongest first: by priority, then by order of submission."""
    return sorted(queue, key=_strength)


def _strength(claim: Claim) -> tuple[int, int, str]:
    return (-claim.priority, claim.sequence, claim.gpr_id)
