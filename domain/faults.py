"""What the faults that devices report mean for who may use them: one table, read like data. Pure.

Starting set: the lists that NVIDIA's own health monitors ship. What is not in it is noted and has no further consequence:
most Xids are a program's fault, and a GPU set aside for nothing is lost, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from domain.devices import FaultKind

SHARE_MAX: Final = 0.2
"""Of a pool's GPUs that faults may set aside; beyond that something else is wrong, and people must look."""
CLEAN_SECONDS: Final = 600
"""How long readings must be clean before a GPU is used again."""


class Remedy(StrEnum):
    """What mends a fault. Berth does none of it: it sets GPUs aside, and sees when they are well again."""

    NONE = "none"
    RESET_GPU = "reset_gpu"
    REBOOT_NODE = "reboot_node"
    CHECK_LINKS = "check_links"
    """NVLink, NVSwitch or their fabric manager."""
    REPLACE_GPU = "replace_gpu"


class Reach(StrEnum):
    """How much is not to be used."""

    NOTHING = "nothing"
    GPU = "gpu"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a fault means. Where readings cannot tell that it is mended, only people lift the quarantine."""

    remedy: Remedy
    reach: Reach
    is_seen_to_mend: bool = True


_NOTED: Final = Meaning(Remedy.NONE, Reach.NOTHING)
_RESET: Final = Meaning(Remedy.RESET_GPU, Reach.GPU)
_REBOOT: Final = Meaning(Remedy.REBOOT_NODE, Reach.NODE)
_LINKS: Final = Meaning(Remedy.CHECK_LINKS, Reach.GPU)

XIDS: Final[Mapping[int, Meaning]] = MappingProxyType(
    {
        **dict.fromkeys((46, 62, 64, 95, 110, 119, 120, 136, 140, 143, 155, 156, 158), _RESET),
        48: _RESET,  # a double-bit ECC error
        **dict.fromkeys((79, 160), _REBOOT),
        **dict.fromkeys((74, *range(144, 151)), _LINKS),
        **dict.fromkeys((13, 31, 32, 43, 45, 63, 68, 69, 94), _NOTED),  # the program's own, or contained
        109: _NOTED,  # disputed: NVIDIA's own monitors do not agree
    }
)
KINDS: Final[Mapping[str, Meaning]] = MappingProxyType(
    {
        FaultKind.ECC_UNCORRECTED: _RESET,
        FaultKind.ROW_REMAP_PENDING: _RESET,
        FaultKind.ROW_REMAP_FAILED: Meaning(Remedy.REPLACE_GPU, Reach.GPU, is_seen_to_mend=False),
        FaultKind.LOST: Meaning(Remedy.REBOOT_NODE, Reach.GPU),
    }
)


def meaning_of(kind: str, code: int | None) -> Meaning:
    """What a fault means; one that is not in the table is only noted."""
    if kind == FaultKind.XID:
        return XIDS.get(code or 0, _NOTED)
    return KINDS.get(kind, _NOTED)


def spoken(kind: str, code: int | None) -> str:
    """A fault in words."""
    return f"Xid {code}" if kind == FaultKind.XID else kind.replace("_", " ")


def may_set_aside(total: int, already: int, more: int) -> bool:
    """Whether so many more GPUs of a pool of `total` may be set aside by themselves: a fifth, or whatever comes first."""
    return already == 0 or already + more <= total * SHARE_MAX
