"""Where tenants live: what all know of each other, and the operator who meddles with everything."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.system.users import User

if TYPE_CHECKING:
    import threading
    from random import Random

    from tests.system.egs import Egs
    from tests.system.users import Replies

PAUSE_SECONDS_RANGE: Final = (0.02, 0.3)
"""Between two questions of one person."""
LIVE_MAX: Final = 6
"""Gprs of one workspace that are not over."""


@dataclass(slots=True)
class Town:
    """What all tenants know of each other: ids by workspace."""

    ids: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    owners: dict[str, str] = field(default_factory=dict)
    """Workspaces that are not deleted, and whose they are."""

    def foreign(self, name: str) -> list[str]:
        """Workspaces of others."""
        return [workspace for workspace, owner in list(self.owners.items()) if owner != name]


class Operator:
    """Has the administrator's key, and ends, moves and looks at anything, at any moment."""

    def __init__(self, egs: Egs, replies: Replies, town: Town, random: Random) -> None:
        self.user = User(egs, replies)
        self._town = town
        self._random = random

    def live(self, over: threading.Event) -> None:
        """Meddle until it is over."""
        while not over.wait(self._random.uniform(*PAUSE_SECONDS_RANGE)):
            known = [ids for workspace, ids in list(self._town.ids.items()) if ids and workspace in self._town.owners]
            if known:
                self._meddle(self._random.choice(self._random.choice(known)[-LIVE_MAX:]))
        self.user.egs.close()

    def _meddle(self, gpr_id: str) -> None:
        chance = self._random.random()
        if chance < 0.5:
            self.user.get(gpr_id)
        elif chance < 0.75:
            self.user.release(gpr_id)
        elif chance < 0.95:
            self.user.move(gpr_id, self._random.randint(0, 300))
        else:
            self.user.delete(gpr_id)
