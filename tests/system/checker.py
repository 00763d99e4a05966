"""The judge of a run: a small model of Berth's rules, that reads the ledger's events and the clusters' audit logs alone.

It shares no code with Berth. `stories` and `trail` read, `book_rules`, `time_rules` and `trail_rules` say what must be true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.system.book_rules import BOOK_RULES, Outages
from tests.system.stories import HISTORY, told
from tests.system.time_rules import TIME_RULES
from tests.system.trail import trail
from tests.system.trail_rules import TRAIL_RULES, deeds_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tests.system.installation import Installation
    from tests.system.trail import Write

Json = dict[str, Any]


def complaints_about(events: Iterable[Json], writes: Sequence[Write], outages: Outages) -> list[str]:
    """Everything that breaks a rule, with the rule's name before it. The history has come to rest."""
    chronicle, deeds = told(events), deeds_of(writes)
    return [
        *(f"{rule.__name__}: {one}" for rule in (*BOOK_RULES, *TIME_RULES) for one in rule(chronicle, outages)),
        *(f"{rule.__name__}: {one}" for rule in TRAIL_RULES for one in rule(deeds, chronicle, outages)),
    ]


class Records:
    """What a run leaves in the books, from this moment on."""

    def __init__(self, installation: Installation, since: datetime) -> None:
        self._installation = installation
        self._since = since
        self._after = installation.tables.rows("select coalesce(max(id), 0) as last from event")[0]["last"]

    def events(self) -> list[Json]:
        """Rows of the ledger's history."""
        return self._installation.tables.rows(HISTORY.format(after=self._after))

    def writes(self) -> list[Write]:
        """What the clusters' audit logs hold."""
        clusters = self._installation.stack.clusters()
        return trail({cluster: self._installation.audit_logs(cluster) for cluster in clusters}, self._since)
