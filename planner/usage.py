"""What a workspace had lately: GPU-seconds that count the less the longer ago they were."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime, timedelta


def decayed(gpus: int, begin: datetime, end: datetime, now: datetime, half_life: timedelta) -> int:
    """GPU-seconds of a lease from `begin` until `end`, or until now where it still runs; each halves per half-life."""
    end = min(end, now)
    if end <= begin:
        return 0
    seconds = half_life.total_seconds()
    kept_from, kept_until = ((instant - now) / half_life for instant in (begin, end))
    return round(gpus * seconds / math.log(2) * (math.exp2(kept_until) - math.exp2(kept_from)))
