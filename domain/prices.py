"""What GPUs cost. One currency per installation, which only its people know the name of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Price:
    """Of one GPU of a shape for an hour, from an instant on until the next price of that shape. None: it has no price."""

    shape: str
    starts_at: datetime
    per_gpu_hour: Decimal | None
    set_by: str
    set_at: datetime
