"""What must be true of promises and reservations in a chronicle, rule by rule. Pure, like `book_rules`."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from tests.system.book_rules import RETURN_MAX
from tests.system.stories import LIMITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.system.book_rules import Outages
    from tests.system.stories import Chronicle, Json, Lease, Word

TEARDOWN_MAX: Final = timedelta(seconds=30)
"""A start that is late by no more waited for a teardown that took its time: that is no loss."""
TAKEN_BACK: Final = frozenset({"promise_withdrawn", "suspended"})


def a_promise_moves_only_when_hardware_is_lost(chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    """Of its node, by the books; or a limit was lowered; or something was away, so that what was before it was not torn down."""
    for gpr_id, words in chronicle.words.items():
        kept: Word | None = None
        for word in words:
            if word.kind == "promise_moved" and kept is None:
                yield f"the promise of {gpr_id[:8]} was moved at {word.at:%H:%M:%S}, and it had none"
            elif word.kind == "promise_moved" and kept and not _is_excused(chronicle, outages, kept, word):
                yield f"the promise of {gpr_id[:8]} was moved at {word.at:%H:%M:%S}, and nothing of {kept.nodes} was lost"
            kept = None if word.kind in TAKEN_BACK else word


def a_promise_is_made_once(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    for gpr_id, words in chronicle.words.items():
        standing = False
        for word in words:
            if word.kind == "promised" and standing:
                yield f"{gpr_id[:8]} was promised a start at {word.at:%H:%M:%S} though it had a promise"
            standing = word.kind not in TAKEN_BACK


def nothing_starts_later_than_its_promise(chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    """As it was said last. A promise is settled by the first grant after it."""
    for gpr_id, words in chronicle.words.items():
        grants = [chronicle.leases[fence] for fence in chronicle.stories[gpr_id].fences if fence in chronicle.leases]
        for word, following in pairwise([*words, None]):
            if word is None or word.starts_at is None or word.kind in TAKEN_BACK:
                continue
            until = following.number if following else None
            after = [lease for lease in grants if lease.numbers["granted"] > word.number]
            first = min(after, key=lambda lease: lease.numbers["granted"], default=None)
            if first is None or (until is not None and first.numbers["granted"] > until):
                continue
            if first.granted_at > outages.latest(word.starts_at + TEARDOWN_MAX):
                yield f"{first} began {first.granted_at - word.starts_at} after its promise, which nobody moved"


def what_is_reserved_starts_at_its_instant(chronicle: Chronicle, outages: Outages) -> Iterator[str]:
    """Never before; and later only when it was told that its room is lost."""
    for lease in chronicle.leases.values():
        start = lease.fixed_start
        if start is None:
            continue
        if lease.granted_at < start:
            yield f"{lease} began {start - lease.granted_at} before it was reserved"
        told = chronicle.lost_rooms.get(lease.gpr_id, lease.numbers["granted"]) < lease.numbers["granted"]
        is_first = chronicle.stories[lease.gpr_id].fences[:1] == [lease.fence]
        if is_first and not told and lease.granted_at > outages.latest(start + TEARDOWN_MAX):
            yield f"{lease} began {lease.granted_at - start} later than reserved, and nobody was told"


def no_gpu_is_reserved_twice(chronicle: Chronicle, _: Outages) -> Iterator[str]:
    """For the same time; unless the one gave it back before the other was to begin, or the other had lost its room."""
    reserved: defaultdict[tuple[str, str, int], list[Lease]] = defaultdict(list)
    for lease in chronicle.leases.values():
        if lease.fixed_start is not None:
            for node, ordinal in lease.gpus:
                reserved[lease.cluster, node, ordinal].append(lease)
    for (cluster, node, ordinal), leases in reserved.items():
        for earlier, later in pairwise(leases):
            if _overlap(earlier, later) and later.gpr_id not in chronicle.lost_rooms and later.gpr_id != earlier.gpr_id:
                yield f"GPU {ordinal} of {cluster}/{node} was reserved for {earlier} and for {later} at one time"


TIME_RULES: Final = (
    a_promise_moves_only_when_hardware_is_lost,
    a_promise_is_made_once,
    nothing_starts_later_than_its_promise,
    what_is_reserved_starts_at_its_instant,
    no_gpu_is_reserved_twice,
)


def _is_excused(chronicle: Chronicle, outages: Outages, kept: Word, moved: Word) -> bool:
    lost = any(kept.number < event["id"] < moved.number and _touches(event, kept) for event in chronicle.losses)
    away = any(one.began <= moved.at and one.ended + RETURN_MAX >= kept.at for one in outages.outages)
    return lost or away


def _touches(event: Json, kept: Word) -> bool:
    detail = event["detail"]
    if event["kind"].startswith(LIMITS):
        return True
    if event["kind"] == "maintenance_announced":
        return bool({f"{kept.cluster}/{node}" for node in (*kept.nodes, "*")} & set(detail["nodes"]))
    if detail["cluster"] != kept.cluster:
        return False
    if event["kind"] == "nodes_changed":
        return bool(set(kept.nodes) & {*detail["changed"], *detail["gone"]})
    return event["kind"] == "cluster_away" or detail["node"] in kept.nodes


def _overlap(one: Lease, other: Lease) -> bool:
    """As they were reserved; what was given back early is free from then on."""
    begins = [lease.fixed_start for lease in (one, other)]
    ends = [
        lease.fixed_start + timedelta(seconds=lease.wish["duration_seconds"])
        for lease in (one, other)
        if lease.fixed_start
    ]
    if begins[0] is None or begins[1] is None:
        return False
    given_back = one.rested_at is not None and one.rested_at <= begins[1]
    return not given_back and begins[0] < ends[1] and begins[1] < ends[0]
