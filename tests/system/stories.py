"""The ledger's events told again from the first: where each Gpr was, and what became of each lease.

Reads nothing but rows of the `event` table, knows nothing of Berth's code, and has its own idea of which moves are legal.
What the moves must have in common beyond that is judged in `book_rules`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Json = dict[str, Any]

HISTORY: Final = (
    "select id, at, kind, gpr_id, workspace_id, fence, actor, detail from event where id > {after} order by id"
)
QUEUED, PROVISIONING, ACTIVE, RELEASING = "queued", "provisioning", "active", "releasing"
ENDS: Final = frozenset({"released", "expired", "cancelled", "failed"})
MOVES: Final = {
    "submitted": (frozenset({""}), frozenset({QUEUED})),
    "granted": (frozenset({QUEUED}), frozenset({PROVISIONING})),
    "activated": (frozenset({PROVISIONING}), frozenset({ACTIVE})),
    "releasing": (frozenset({PROVISIONING, ACTIVE}), frozenset({RELEASING})),
    "cancelled": (frozenset({QUEUED}), frozenset({"cancelled"})),
    "withdrawn": (frozenset({RELEASING}), frozenset({RELEASING})),
    "rested": (frozenset({RELEASING}), ENDS | {QUEUED}),
}
"""What each kind of event may follow, and where it may lead."""
ARRIVALS: Final = {
    "submitted": QUEUED,
    "granted": PROVISIONING,
    "activated": ACTIVE,
    "releasing": RELEASING,
    "withdrawn": RELEASING,
}
WORDS: Final = frozenset({"promised", "promise_moved", "promise_renewed", "promise_withdrawn", "suspended"})
"""What is said about a promise; whoever is suspended has none any more."""
LOSSES: Final = frozenset(
    {"nodes_changed", "node_quarantined", "gpu_quarantined", "cluster_away", "maintenance_announced"}
)
"""By which a node may be lost to what was kept on it."""
LIMITS: Final = ("quota_", "workspace_quota_", "workspace_assigned", "user_ceiling_", "department_")
"""So begin the kinds by which a limit may become smaller."""
LEAVING: Final = frozenset({"workspace_deleting", "workspace_deleted", "workspace_failed"})


@dataclass(frozen=True, slots=True)
class State:
    """How a Gpr was from one of its events on. `cause`: why it ends; `was_active`: whether this lease ever ran."""

    phase: str
    at: datetime
    cause: str = ""
    was_active: bool = False
    priority: int = 0


@dataclass(slots=True)
class Story:
    """One Gpr."""

    gpr_id: str
    workspace_id: str = ""
    wish: Json = field(default_factory=dict)
    states: list[State] = field(default_factory=list)
    fences: list[int] = field(default_factory=list)

    @property
    def phase(self) -> str:
        """Where it is, so far."""
        return self.states[-1].phase if self.states else ""

    @property
    def external_id(self) -> str:
        """What EGS clients call it."""
        digits = self.gpr_id.replace("-", "")
        return f"gpr-{digits[-12:-4]}-{digits[-4:]}"


@dataclass(slots=True)
class Lease:
    """One lease, from its grant to its rest. `numbers`: the events' places in the books."""

    fence: int
    gpr_id: str
    workspace_id: str
    cluster: str
    gpus: list[tuple[str, int]]
    wish: Json
    granted_at: datetime
    numbers: dict[str, int]
    activated_at: datetime | None = None
    ends: list[datetime] = field(default_factory=list)
    """Its end as it was set, and set anew; none where it lasts until it ends by itself."""
    releasing_at: datetime | None = None
    cause: str = ""
    actor: str = ""
    failure: str = ""
    withdrawn_from: str = ""
    """Why it was ending when somebody asked for its end."""
    rested_at: datetime | None = None
    rest: str = ""
    stuck: list[str] = field(default_factory=list)
    disk: str = ""
    """The disk that it holds, if any."""

    @property
    def nodes(self) -> dict[str, int]:
        """How many GPUs of each node."""
        names = [node for node, _ in self.gpus]
        return {name: names.count(name) for name in names}

    @property
    def fixed_start(self) -> datetime | None:
        """When it was reserved from, if it was."""
        start: datetime | None = self.wish.get("fixed_start")
        return start

    @property
    def is_exclusive(self) -> bool:
        """Whether its workspace may hold no other."""
        return bool(self.wish.get("exclusive", True))

    def __str__(self) -> str:
        return f"lease {self.fence} of {self.gpr_id[:8]}"


@dataclass(frozen=True, slots=True)
class Word:
    """What was said about the promise of a Gpr. `starts_at` None: nobody can say, or nothing is promised any more."""

    number: int
    at: datetime
    kind: str
    starts_at: datetime | None
    cluster: str
    nodes: tuple[str, ...]


@dataclass(slots=True)
class Chronicle:
    """All of it, and what could not be told because it made no sense."""

    stories: dict[str, Story] = field(default_factory=dict)
    leases: dict[int, Lease] = field(default_factory=dict)
    leaving: dict[str, int] = field(default_factory=dict)
    """Workspaces that are going or gone, and the event that says so."""
    lifted: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    """Nodes whose quarantine was lifted, and the events that say so."""
    cancellations: list[Json] = field(default_factory=list)
    pauses: dict[str, list[tuple[int, bool]]] = field(default_factory=dict)
    """Of each Gpr, the events by which it was suspended (True) and resumed."""
    words: dict[str, list[Word]] = field(default_factory=dict)
    """Of each Gpr, about its promise."""
    losses: list[Json] = field(default_factory=list)
    lost_rooms: dict[str, int] = field(default_factory=dict)
    """Gprs of reservations whose room was told to be lost, and the first event that says so."""
    nonsense: list[str] = field(default_factory=list)


def told(events: Iterable[Json]) -> Chronicle:
    """The chronicle of these events, which are in the order of the books."""
    chronicle = Chronicle()
    for event in events:
        _tell_about_time(chronicle, event)
        if event["kind"] in LEAVING:
            chronicle.leaving.setdefault(event["workspace_id"], event["id"])
        elif event["kind"] == "node_quarantine_lifted":
            place = (event["detail"]["cluster"], event["detail"]["node"])
            chronicle.lifted.setdefault(place, []).append(event["id"])
        elif event["kind"] in {"suspended", "resumed"}:
            pause = (event["id"], event["kind"] == "suspended")
            chronicle.pauses.setdefault(event["gpr_id"], []).append(pause)
        elif event["kind"] == "priority_set":
            _set_priority(chronicle, event)
        elif event["kind"] in MOVES:
            _move(chronicle, event)
        elif event["kind"] == "extended":
            _extend(chronicle, event)
        elif event["kind"] == "lengthened":
            _lengthen(chronicle, event)
    return chronicle


def _move(chronicle: Chronicle, event: Json) -> None:
    story = chronicle.stories.setdefault(event["gpr_id"], Story(event["gpr_id"]))
    before, (sources, targets) = story.phase, MOVES[event["kind"]]
    after = str(event["detail"].get("phase")) if event["kind"] == "rested" else ARRIVALS.get(event["kind"], "cancelled")
    if before not in sources or after not in targets:
        move = f"{before or 'nothing'} -> {after}"
        chronicle.nonsense.append(f"event {event['id']}: {event['kind']} moved {story.gpr_id[:8]} {move}")
    _TELL[event["kind"]](chronicle, story, event)
    last = story.states[-1] if story.states else State("", _instant(event["at"]))
    cause = str(event["detail"].get("cause", last.cause if event["kind"] == "rested" else ""))
    was_active = after == ACTIVE or (after not in {QUEUED, PROVISIONING} and last.was_active)
    priority = int(event["detail"].get("priority", last.priority))
    story.states.append(State(after, _instant(event["at"]), cause, was_active, priority))


def _submitted(_: Chronicle, story: Story, event: Json) -> None:
    story.workspace_id, story.wish = event["workspace_id"], event["detail"]


def _granted(chronicle: Chronicle, story: Story, event: Json) -> None:
    fence, detail = event["fence"], event["detail"]
    if fence in chronicle.leases:
        chronicle.nonsense.append(f"event {event['id']}: lease {fence} is granted a second time")
    story.fences.append(fence)
    gpus = [(str(node), int(ordinal)) for node, ordinal in detail["gpus"]]
    chronicle.leases[fence] = Lease(
        fence,
        story.gpr_id,
        event["workspace_id"],
        detail["cluster"],
        gpus,
        story.wish,
        _instant(event["at"]),
        {"granted": event["id"]},
        disk=detail.get("disk", ""),
    )


def _activated(chronicle: Chronicle, story: Story, event: Json) -> None:
    if lease := _own_lease(chronicle, story, event):
        lease.activated_at = _instant(event["at"])
        if event["detail"]["end_at"] is not None:
            lease.ends.append(_instant(event["detail"]["end_at"]))


def _releasing(chronicle: Chronicle, story: Story, event: Json) -> None:
    if lease := _own_lease(chronicle, story, event):
        lease.releasing_at, lease.cause = _instant(event["at"]), event["detail"]["cause"]
        lease.actor, lease.failure = event["actor"], event["detail"].get("failure", "")


def _withdrawn(chronicle: Chronicle, story: Story, event: Json) -> None:
    """Its provisioning failed, and it is not to come back into the queue."""
    if lease := _own_lease(chronicle, story, event):
        lease.withdrawn_from, lease.cause = lease.cause, event["detail"]["cause"]
        lease.actor = event["actor"]


def _rested(chronicle: Chronicle, story: Story, event: Json) -> None:
    if lease := _own_lease(chronicle, story, event):
        lease.rested_at, lease.rest = _instant(event["at"]), event["detail"]["phase"]
        lease.stuck = event["detail"]["stuck_nodes"]


def _cancelled(chronicle: Chronicle, _: Story, event: Json) -> None:
    chronicle.cancellations.append(event)


def _extend(chronicle: Chronicle, event: Json) -> None:
    story = chronicle.stories.setdefault(event["gpr_id"], Story(event["gpr_id"]))
    if story.phase != ACTIVE:
        chronicle.nonsense.append(f"event {event['id']}: {story.gpr_id[:8]} was extended while {story.phase}")
    if lease := _own_lease(chronicle, story, event):
        lease.ends.append(_instant(event["detail"]["end_at"]))


def _lengthen(chronicle: Chronicle, event: Json) -> None:
    """Its time has not begun: from now on this is what is asked for."""
    story = chronicle.stories.setdefault(event["gpr_id"], Story(event["gpr_id"]))
    if story.phase != PROVISIONING:
        chronicle.nonsense.append(f"event {event['id']}: {story.gpr_id[:8]} was lengthened while {story.phase}")
    if lease := _own_lease(chronicle, story, event):
        seconds = story.wish["duration_seconds"] + event["detail"]["seconds"]
        story.wish = lease.wish = {**story.wish, "duration_seconds": seconds}


def _tell_about_time(chronicle: Chronicle, event: Json) -> None:
    kind, gpr_id, detail = event["kind"], event["gpr_id"], event["detail"]
    if kind in WORDS:
        starts_at = _instant(detail["starts_at"]) if detail.get("starts_at") else None
        nodes = tuple(detail.get("nodes", ()))
        word = Word(event["id"], _instant(event["at"]), kind, starts_at, detail.get("cluster", ""), nodes)
        chronicle.words.setdefault(gpr_id, []).append(word)
    elif kind in LOSSES or kind.startswith(LIMITS):
        chronicle.losses.append(event)
    elif kind == "reservation_lost":
        chronicle.lost_rooms.setdefault(gpr_id, event["id"])
    elif kind == "booked":
        story = chronicle.stories.setdefault(gpr_id, Story(gpr_id))
        story.wish = {**story.wish, "fixed_start": _instant(detail["start"])}


def _set_priority(chronicle: Chronicle, event: Json) -> None:
    story = chronicle.stories.setdefault(event["gpr_id"], Story(event["gpr_id"]))
    if story.phase != QUEUED:
        chronicle.nonsense.append(
            f"event {event['id']}: the priority of {story.gpr_id[:8]} was set while {story.phase}"
        )
    if story.states:
        changed = replace(story.states[-1], at=_instant(event["at"]), priority=event["detail"]["priority"])
        story.states.append(changed)


def _own_lease(chronicle: Chronicle, story: Story, event: Json) -> Lease | None:
    """The lease that the event is about: one of this Gpr, and the last one it got."""
    lease = chronicle.leases.get(event["fence"])
    if lease is None or story.fences[-1:] != [lease.fence]:
        chronicle.nonsense.append(
            f"event {event['id']}: {event['kind']} of {story.gpr_id[:8]} under fence {event['fence']}"
        )
        return None
    lease.numbers[event["kind"]] = event["id"]
    return lease


_TELL: Final[dict[str, Callable[[Chronicle, Story, Json], None]]] = {
    "submitted": _submitted,
    "granted": _granted,
    "activated": _activated,
    "releasing": _releasing,
    "cancelled": _cancelled,
    "withdrawn": _withdrawn,
    "rested": _rested,
}


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
