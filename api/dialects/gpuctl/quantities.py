"""Amounts of CPU and memory as Kubernetes writes them: `8`, `500m`, `32Gi`. Their one spelling, and what they come to."""

from __future__ import annotations

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from domain.failures import InvalidRequest

CPU_MILLIS_MAX: Final = 1_000_000 * 1000
MEMORY_BYTES_MAX: Final = 2**54
"""16 Pi: more is a slip of the pen."""

_SIZES: Final = MappingProxyType(
    {
        "": 1,
        **{unit: 1000**power for power, unit in enumerate(("k", "M", "G", "T", "P"), 1)},
        **{unit: 1024**power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1)},
    }
)
_CPU: Final = re.compile(r"([0-9]{1,12})m|([0-9]{1,9}(?:\.[0-9]{1,3})?)", re.ASCII)
_MEMORY: Final = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,3})?)(k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?", re.ASCII)


def cpu_of(value: object) -> str:
    """CPU in its one spelling: whole cores as `8`, parts of one as `500m`."""
    millis = cpu_millis(_text(value, "CPU", "8, 0.5 or 500m"))
    return f"{millis}m" if millis % 1000 else str(millis // 1000)


def memory_of(value: object) -> str:
    """Memory as it was written, once it is known to be an amount."""
    text = _text(value, "memory", "32Gi")
    memory_bytes(text)
    return text


def cpu_millis(text: str) -> int:
    """Thousandths of a core."""
    match = _CPU.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"{text[:40]!r} is not an amount of CPU: write cores or thousandths, as in 8, 0.5 or 500m")
    millis = int(match[1]) if match[1] else int(Decimal(match[2]) * 1000)
    if millis > CPU_MILLIS_MAX:
        raise InvalidRequest(f"{text!r} is more than {CPU_MILLIS_MAX // 1000} cores")
    return millis


def memory_bytes(text: str) -> int:
    """Bytes; what is less than one does not count."""
    match = _MEMORY.fullmatch(text)
    if match is None:
        raise InvalidRequest(
            f"{text[:40]!r} is not an amount of memory: write a number and Ki, Mi, Gi or Ti, as in 32Gi"
        )
    size = int(Decimal(match[1]) * _SIZES[match[2] or ""])
    if size > MEMORY_BYTES_MAX:
        raise InvalidRequest(f"{text!r} is more than 16Pi")
    return size


def _text(value: object, what: str, example: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"must be an amount of {what}, as in {example}")
    return str(int(value)) if float(value).is_integer() else str(value)
