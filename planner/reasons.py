"""Why a claim does not start now: a code for programs, a sentence for people.

Here are the codes, and the sentences about waits that have an end; those about claims that nothing planned
can serve are in `obstacles`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from planner import lending
from planner.snapshot import UNLIMITED
from planner.world import totals

if TYPE_CHECKING:
    from planner.nodes import Holder
    from planner.placement import Window
    from planner.snapshot import Claim, Limit
    from planner.world import Budget, World


class ReasonCode(StrEnum):
    """What stands in the way."""

    WAITING_FOR_GPUS = "waiting_for_gpus"
    """Running leases hold the GPUs it will get."""
    BEHIND_STRONGER_CLAIMS = "behind_stronger_claims"
    """Stronger claims, queued too, get those GPUs first."""
    WORKSPACE_BUSY = "workspace_busy"
    """Its workspace has one exclusive lease at a time."""
    BACKING_OFF = "backing_off"
    """It asked, or was told, not to start yet."""
    RESERVED = "reserved"
    """It has a reservation, which begins later."""
    BEYOND_CALENDAR = "beyond_calendar"
    """Its turn comes later than a date can say."""
    QUOTA_BUSY = "quota_busy"
    """A quota that it counts against is used up."""
    LARGER_THAN_ITS_QUOTA = "larger_than_its_quota"
    """It asks for more than a quota will ever allow at once."""
    NOT_IN_POOL = "not_in_pool"
    """No node belongs to the pool that it names, or none to no pool."""
    CLUSTER_UNKNOWN = "cluster_unknown"
    """None of its clusters has nodes for Berth."""
    NO_SUCH_SHAPE = "no_such_shape"
    """No node has that GPU product."""
    NO_SUCH_INSTANCE_TYPE = "no_such_instance_type"
    """No node with the right GPUs is of that type."""
    NOT_ENOUGH_MEMORY = "not_enough_memory"
    """The GPUs of that kind have less memory."""
    LARGER_THAN_ANY_NODE = "larger_than_any_node"
    """It asks for more GPUs on one node than any has."""
    NOT_ENOUGH_NODES = "not_enough_nodes"
    """It asks for more nodes than any one cluster has."""
    NODES_EXCLUDED = "nodes_excluded"
    """It failed on too many of the nodes that would do."""
    NODES_UNUSABLE = "nodes_unusable"
    """Nodes that it needs are out of use."""
    CLUSTER_UNAVAILABLE = "cluster_unavailable"
    """Every node of its clusters is out of use."""
    MAINTENANCE = "maintenance"
    """Nodes that it gets are in maintenance, or would be before it had ended."""
    GPUS_BLOCKED = "gpus_blocked"
    """GPUs that it needs are unhealthy, or used by strangers."""
    NO_KNOWN_END = "no_known_end"
    """What it needs is held, and nobody knows until when."""


class Reason(NamedTuple):
    """One sentence with the names and times that matter, without a capital or a full stop."""

    code: ReasonCode
    text: str


def waiting(world: World, claim: Claim, window: Window) -> Reason:
    """Why it starts with this window and not before."""
    if window.start > world.axis.last:
        return Reason(ReasonCode.BEYOND_CALENDAR, "its turn comes later than the calendar reaches")
    if claim.fixed_start and window.start == world.axis.offset(claim.fixed_start):
        return Reason(ReasonCode.RESERVED, f"its reservation begins at {world.axis.spoken(window.start)}")
    if not window.held_back:
        return _for_gpus(world, claim, window)
    if window.start > world.earliest_asked(claim):
        return _for_share(world, claim, window)
    return Reason(ReasonCode.BACKING_OFF, f"does not start before {world.axis.spoken(window.start)}")


def wish(claim: Claim, cluster: str) -> str:
    """What it asks for, in words: `3 x NVIDIA-H100-80GB-HBM3 on one node of worker-1`."""
    gpus = f"{claim.gpus_per_node} x {claim.shape or claim.instance_type or 'GPU'}"
    return (
        f"{gpus} on one node of {cluster}"
        if claim.nodes == 1
        else f"{gpus} on each of {claim.nodes} nodes of {cluster}"
    )


def _for_gpus(world: World, claim: Claim, window: Window) -> Reason:
    holder = _who_frees(window)
    if holder and holder.closed:
        until = f"maintenance '{holder.name}' until {world.axis.spoken(window.start)}"
        return Reason(ReasonCode.MAINTENANCE, f"waits for {wish(claim, window.cluster)}: {until}")
    code = ReasonCode.WAITING_FOR_GPUS if holder and holder.running else ReasonCode.BEHIND_STRONGER_CLAIMS
    when = f"first free {world.axis.spoken(window.start)}{_when_it_ends(holder)}"
    return Reason(code, f"waits for {wish(claim, window.cluster)}, {when}")


def _who_frees(window: Window) -> Holder | None:
    for node in window.nodes:
        if window.start in node.ends:
            return node.ends[window.start]
    return None


def _when_it_ends(holder: Holder | None) -> str:
    if not holder:
        return ""
    if holder.preempted:
        return f" when {holder.name}{', which borrows,' if holder.taken_back else ''} is preempted"
    return f" when {holder.name} ends" if holder.running else f" when {holder.name}, which goes first, ends"


def limited_by(claim: Claim, limit: Limit) -> str:
    """A limit in words."""
    if limit.key:
        return limit.spoken
    return f"its workspace {claim.workspace_name or claim.workspace}, which runs one at a time"


def spoken_total(total: int) -> str:
    """How large a limit is, in words."""
    return "no limit" if total >= UNLIMITED else str(total)


def _for_share(world: World, claim: Claim, window: Window) -> Reason:
    start, shares = window.start, world.shares(claim)
    deciding = [share.budget for share in shares if share.decides(start)] or [shares[0].budget]
    budget = next((each for each in deciding if start in each.ends), deciding[0])
    text = f"waits for {limited_by(claim, budget.limit)}: {_what_ends(world, budget, start)}"
    text += lending.hint(world, window.lent_from)
    return Reason(ReasonCode.QUOTA_BUSY if budget.limit.key else ReasonCode.WORKSPACE_BUSY, text)


def _what_ends(world: World, budget: Budget, start: int) -> str:
    """Who holds it until then, or how much it is until then."""
    if budget.changes.get(start, 0) < 0:
        allowed = totals(budget.limit, world.axis)
        before, after = (spoken_total(allowed.at(instant)) for instant in (start - 1, start))
        return f"{before} until {world.axis.spoken(start)}, {after} from then on"
    holder = budget.ends.get(start)
    name = holder.name if holder else "another request"
    verb = "holds it" if holder and holder.running else "goes first, and holds it"
    return f"{name} {verb} until {world.axis.spoken(start)}"
