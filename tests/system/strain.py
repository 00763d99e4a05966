"""When Temporal could not keep up, by its own log: what is late then is late because of the machine, not of Berth.

The development server keeps everything in one SQLite file, and gives an operation on it five seconds. On processors that
others use too it then loses steps, and gives them out again only when their heartbeat is missed, as if their worker had
been killed. So such a time counts as one in which Temporal was away: it excuses lateness, and nothing else.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from tests.system.book_rules import Outage

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OPERATION_SECONDS: Final = timedelta(seconds=5)
"""What Temporal gives one operation, and how long a call takes before its log calls it slow."""
SIGNS: Final = ("context deadline exceeded", "Slow gRPC call")
OPENING: Final = "time="


def strain(lines: Iterable[str]) -> list[Outage]:
    """The times in which an operation was given up or slow, those that touch one another as one."""
    spans: list[Outage] = []
    for ended in sorted(_given_up(lines)):
        began = ended - OPERATION_SECONDS
        if spans and began <= spans[-1].ended:
            began = spans.pop().began
        spans.append(Outage("temporal", began, ended))
    return spans


def _given_up(lines: Iterable[str]) -> Iterator[datetime]:
    for line in lines:
        if line.startswith(OPENING) and any(sign in line for sign in SIGNS):
            yield datetime.fromisoformat(line.removeprefix(OPENING).split(" ", 1)[0]).astimezone(UTC)
