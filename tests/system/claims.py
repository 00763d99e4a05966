"""What users were told about their Gprs, held against the ledger's history when all is over.

An answer that came between two instants of the asker's clock claims that the Gpr was in a certain state at some moment in
between. The history is one line of states; the claims of all askers must fit on it one after another: who asked after an
answer was in may not be told of an earlier state than that answer told of. Nothing here trusts a clock of Berth's.
"""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from tests.system.stories import ACTIVE, PROVISIONING, QUEUED, RELEASING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tests.system.stories import State, Story

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Claim:
    """One answer about one Gpr. Seconds are of the asker's monotonic clock."""

    gpr_id: str
    what: str
    began: float
    ended: float
    ended_at: datetime
    fits: Callable[[State], bool]


class Claims:
    """All of them, of all askers; safe to share between threads."""

    def __init__(self) -> None:
        self.claims: list[Claim] = []
        self.complaints: list[str] = []
        self.submitted: dict[str, float] = {}
        """Ids that were given out, and when."""
        self._lock = threading.Lock()

    def add(self, gpr_id: str, what: str, began: float, fits: Callable[[State], bool]) -> None:
        """Remember an answer that has just come."""
        claim = Claim(gpr_id, what, began, time.monotonic(), datetime.now(UTC), fits)
        with self._lock:
            self.claims.append(claim)

    def add_submitted(self, gpr_id: str, began: float, *, again: bool = False) -> None:
        """A new id, or that of a repeated request."""
        with self._lock:
            if gpr_id in self.submitted and not again:
                self.complaints.append(f"{gpr_id} was given out twice")
            self.submitted.setdefault(gpr_id, time.monotonic())
        self.add(gpr_id, "submitted", began, lambda _: True)

    def add_list(self, items: list[Json], own: Iterable[str], began: float) -> None:
        """A list of GPRs: each of them a claim, none twice, and all there that had been submitted before."""
        shown = [item["gprId"] for item in items]
        twice = [gpr_id for gpr_id, count in Counter(shown).items() if count > 1]
        missing = [gpr_id for gpr_id in own if self.submitted[gpr_id] < began and gpr_id not in shown]
        with self._lock:
            self.complaints += [f"{gpr_id} was listed twice" for gpr_id in twice]
            self.complaints += [f"{gpr_id} was missing in a list" for gpr_id in missing]
        for item in items:
            self.add_sight(item, began)

    def add_sight(self, item: Json, began: float) -> None:
        """A GPR as it was shown."""
        word, inner = item["status"]["provisioningStatus"], item["status"]["internalState"]
        shown, early = SHOWN.get((word, inner), _nothing), item["earlyRelease"]
        self.add(
            item["gprId"],
            " ".join(part for part in ("shown as", word, inner, "earlyRelease" if early else "") if part),
            began,
            lambda state: (
                shown(state) and early == (state.cause == "early_release") and state.priority == item["priority"]
            ),
        )

    @property
    def counts(self) -> Counter[str]:
        """How often each thing was said."""
        return Counter(claim.what for claim in self.claims)

    def untrue(self, stories: Iterable[Story]) -> list[str]:
        """Everything that was said and was not so."""
        known = {story.external_id: story for story in stories}
        by_gpr = defaultdict(list)
        for claim in self.claims:
            by_gpr[claim.gpr_id].append(claim)
        lost = [f"{gpr_id} was spoken of and is not in the books" for gpr_id in by_gpr if gpr_id not in known]
        false = [one for gpr_id, claims in by_gpr.items() if gpr_id in known for one in _untrue(claims, known[gpr_id])]
        return [*self.complaints, *lost, *false]


def _untrue(claims: list[Claim], story: Story) -> Iterator[str]:
    """Each answer, in the order of coming, is given the earliest place in the story that it and those before it allow."""
    ends: list[float] = []
    reached: list[int] = []
    for claim in sorted(claims, key=lambda one: one.ended):
        before = bisect_left(ends, claim.began)
        least = reached[before - 1] if before else 0
        places = range(least, len(story.states))
        place = next((one for one in places if _is_so(claim, story.states[one])), None)
        if place is None:
            path = " > ".join(f"{state.phase} {state.at:%H:%M:%S.%f} {state.cause}" for state in story.states)
            yield f"{claim.gpr_id} was {claim.what} at {claim.ended_at:%H:%M:%S.%f}, not before {least}: {path}"
            place = least
        ends.append(claim.ended)
        reached.append(max(place, reached[-1] if reached else 0))


def _is_so(claim: Claim, state: State) -> bool:
    return state.at <= claim.ended_at and claim.fits(state)


# --- what each answer means -------------------------------------------------------------------------------------------


def _is_reserved(state: State) -> bool:
    return state.phase == PROVISIONING or (state.phase == RELEASING and not state.was_active)


def _is_provisioned(state: State) -> bool:
    return state.phase == ACTIVE or (state.phase == RELEASING and state.was_active)


def _is_ending(state: State) -> bool:
    return state.phase == RELEASING and state.was_active


def _is_complete(state: State) -> bool:
    return state.phase in {"released", "expired", "cancelled"}


def _is_failed(state: State) -> bool:
    return state.phase == "failed"


def _is_queued(state: State) -> bool:
    return state.phase == QUEUED


def _nothing(_: State) -> bool:
    return False


SHOWN: Final[dict[tuple[str, str], Callable[[State], bool]]] = {
    ("Queued", "Queued"): _is_queued,
    ("Queued", "Reserved"): _is_reserved,
    ("Provisioned", ""): _is_provisioned,
    ("Complete", "Released"): _is_complete,
    ("Error", "Released"): _is_failed,
}


def ends_early(state: State) -> bool:
    """An early release was accepted."""
    return state.phase in {RELEASING, "released"} and state.cause == "early_release"


def is_withdrawn(state: State) -> bool:
    """A deletion was accepted."""
    return state.phase in {RELEASING, "cancelled"} and state.cause == "cancelled"


NOT_EARLY: Final[dict[str, Callable[[State], bool]]] = {
    "Queued": lambda state: _is_queued(state) or _is_reserved(state),
    "Complete": lambda state: _is_complete(state) or (_is_ending(state) and state.cause != "early_release"),
    "Error": _is_failed,
}
"""The states that the refusal of an early release speaks of. A lease that is ending for another reason is over."""
NOT_DELETED: Final[dict[str, Callable[[State], bool]]] = {
    "Successful": lambda state: state.was_active or (_is_complete(state) and state.cause != "cancelled"),
    "Error": _is_failed,
}
"""The states that the refusal of a deletion speaks of."""


def cannot_be_moved(state: State) -> bool:
    """A new priority was refused."""
    return not _is_queued(state)
