"""What GPUs have cost over a span of time, and which part of it nobody used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


class CostsBy(StrEnum):
    """What costs are added up over."""

    GPR = "gpr"
    """Jobs and boxes are Gprs, too."""
    WORKSPACE = "workspace"
    DEPARTMENT = "department"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one of them has cost. Amounts are None where nothing of it has a price; they are in the installation's currency."""

    key: str
    """A Gpr's id; the name of a workspace or department."""
    name: str
    workspace: str
    """Empty where it is of several."""
    gpu_seconds: float
    idle_gpu_seconds: float
    """Seen to be idle; what was not seen is not in it."""
    seen_gpu_seconds: float
    """With readings."""
    amount: Decimal | None
    idle_amount: Decimal | None


@dataclass(frozen=True, slots=True)
class Costs:
    """The largest of them, and the sum of all."""

    begin: datetime
    end: datetime
    by: CostsBy
    items: tuple[Cost, ...]
    total: Cost
