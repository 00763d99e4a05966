"""What one can do with dev boxes. A box is queued, leased and ended as a Gpr; what is its own is who works in it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

from structlog.contextvars import bind_contextvars

from api.operations import extensions
from api.operations.disks import disk_for_box
from api.operations.gprs import Submission, checked_request
from api.operations.permission import gpr_for, workspace_for
from api.operations.personal import personal_workspace
from domain.box import EXTENSION_HOURS_MAX, GRACE_SECONDS, Box, BoxStatus, pod_name
from domain.failures import AlreadyExists, InvalidRequest, NotFound, WrongPhase
from domain.github import checked_user_name
from domain.gpr import EndCause, GprRequest
from domain.identifiers import GPR_NAME_LENGTH_MAX, checked_name
from domain.job import EnvironmentVariable, JobKind, JobSpec
from domain.permissions import Action
from domain.priority import PRIORITY_DEFAULT
from ledger import boxes, idempotency, lifecycle, workspaces

if TYPE_CHECKING:
    from api.operations.call import Call
    from domain.workspace import Workspace
    from ledger.connection import Connection

SECONDS_PER_HOUR: Final = 3600
PEOPLE_MAX: Final = 32
"""Who may enter one box."""
PREFIX_LENGTH_MIN: Final = 4
PREFIX_LENGTH_MAX: Final = 32
_LIVE: Final = frozenset({BoxStatus.QUEUED, BoxStatus.PREPARING, BoxStatus.ACTIVE})
_CHOSEN_ANEW: Final = ("nodes", "gpus_per_node", "shape", "instance_type", "architecture")


@dataclass(frozen=True, slots=True)
class BoxSubmission:
    """A box to be queued. `nodes`, `gpus_per_node`, `shape`, `instance_type` and `architecture` say on what.

    That may be chosen anew for a repeat with the same id, so it does not tell one request from another: `options`, in
    which the client's own words are kept, and all other fields do.
    """

    hours: int
    nodes: int
    gpus_per_node: int
    image: str
    """Empty: the usual one."""
    shape: str = ""
    instance_type: str = ""
    architecture: str = ""
    """Of its node, as nodes say it; empty: any."""
    box_id: UUID | None = None
    """The client's choice; None: a new one."""
    name: str = ""
    """For people; empty: that of its pod."""
    disk_name: str = ""
    """Empty: none. A disk that is not there is made."""
    disk_size_gb: int | None = None
    environment: tuple[EnvironmentVariable, ...] = ()
    command: tuple[str, ...] = ()
    keeps_entrypoint: bool = False
    github_user: str = ""
    """Its owner's name on GitHub, whose keys there open it."""
    keys: tuple[str, ...] = ()
    """Public keys that open it, one line each."""
    jupyter_wanted: bool = False
    priority: int = PRIORITY_DEFAULT
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BoxQuery:
    """Which of the caller's boxes to list; None: all."""

    statuses: Collection[BoxStatus] | None = None
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Submitted:
    """A box was taken. `message_id` grows; a repeat is answered with the first one's."""

    id: UUID
    message_id: int


@dataclass(frozen=True, slots=True)
class Told:
    """A wish about a box was granted: the box as it is now, and the message that tells its lifecycle."""

    box: Box
    message_id: int


async def submit(call: Call, wish: BoxSubmission) -> Submitted:
    """Queue a box. Durable when this returns; asked for again with the same id, it is answered as before.

    AlreadyExists for an id that stands for anything else, Gone where its disk is deleted.
    """
    wish = _checked(wish)
    workspace = await personal_workspace(call)
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        workspace = await workspace_for(connection, call, workspace.request.name, Action.SUBMIT)
        box_id, _ = await call.subject(connection, "submit_box", _asked(wish), wish.box_id or uuid4())
        bind_contextvars(gpr_id=str(box_id))
        begun = await boxes.begun(connection, box_id)
        if begun is None:
            begun, messages = await _begin(connection, call, workspace, box_id, wish)
        if begun.owner_id != call.principal_id or not idempotency.is_hash_of(begun.request_hash, _asked(wish)):
            raise AlreadyExists(boxes.ID_TAKEN)
    call.deliver(messages)
    return Submitted(box_id, begun.message_id)


async def find(call: Call, reference: str) -> Box:
    """One box, by its id or by the beginning of it, or NotFound."""
    async with call.backends.ledger.reading() as connection:
        return await _box(connection, call, reference, Action.VIEW)


async def listing(call: Call, query: BoxQuery) -> tuple[list[Box], int]:
    """The caller's boxes, newest first; and how many such there are in all."""
    async with call.backends.ledger.reading() as connection:
        return await boxes.page(
            connection,
            call.principal_id,
            query.statuses,
            query.limit,
            query.offset,
            workspace_id=call.caller.workspace_id,
        )


async def cancel(call: Call, reference: str) -> Told:
    """End a box in whatever phase it is. Repeating it changes nothing; WrongPhase for one that ended otherwise."""
    async with call.backends.ledger.transaction() as connection:
        box = await _box(connection, call, reference, Action.CHANGE, hold=True)
        if box.status not in _LIVE | {BoxStatus.CANCELLED}:
            raise WrongPhase(f"the box is {box.status} already", phase=box.job.gpr.phase)
        _, messages = await lifecycle.end_for_user(connection, box.job.gpr.id, EndCause.CANCELLED, call.now, call.actor)
        told = await _told(connection, box, messages)
    call.deliver(messages)
    return told


async def extend(call: Call, reference: str, hours: int) -> Told:
    """Have a box that is preparing or active last longer. InvalidRequest for more than there may be in all.

    ExtensionRefused where a promise or a reservation would slip.
    Repeated under the same idempotency key, it is answered with the box as it is now and the first one's message.
    """
    if hours < 1:
        raise InvalidRequest("an extension must be of at least one hour")
    messages: list[int] = []
    async with call.backends.ledger.transaction() as connection:
        box = await _box(connection, call, reference, Action.CHANGE, hold=True)
        wish = (str(box.job.gpr.id), hours)
        message = await call.earlier_subject(connection, "extend_box", wish)
        if message is None:
            _check_extension(box, hours)
            await extensions.check(connection, call, box.job.gpr.id, hours * SECONDS_PER_HOUR)
            messages = await boxes.extend(connection, box, hours, call.now, call.actor)
            message, _ = await call.subject(connection, "extend_box", wish, UUID(int=messages[0]))
        told = await _told(connection, box, [message.int])
    call.deliver(messages)
    return told


async def set_jupyter(call: Call, reference: str, wanted: bool) -> Told:  # noqa: FBT001 - the wish itself
    """Have Jupyter run in a box, or not. WrongPhase for one that has ended."""
    async with call.backends.ledger.transaction() as connection:
        box = await _living(connection, call, reference)
        messages = await boxes.want_jupyter(connection, box.job.gpr.id, wanted, _new_token(), call.now)
        told = await _told(connection, box, messages)
    call.deliver(messages)
    return told


async def add_person(call: Call, reference: str, name: str) -> Told:
    """Let somebody in, by the keys that GitHub has of them. WrongPhase for a box that has ended."""
    name = checked_user_name(name)
    async with call.backends.ledger.transaction() as connection:
        box = await _living(connection, call, reference)
        if len(box.people) >= PEOPLE_MAX and name not in {person.name for person in box.people}:
            raise InvalidRequest(f"a box is for at most {PEOPLE_MAX} people")
        messages = await boxes.add_person(connection, box.job.gpr.id, name, call.now)
        told = await _told(connection, box, messages)
    call.deliver(messages)
    return told


def _checked(wish: BoxSubmission) -> BoxSubmission:
    if wish.name:
        checked_name(wish.name, "the name of a box", GPR_NAME_LENGTH_MAX)
    if wish.github_user:
        checked_user_name(wish.github_user)
    return wish


def _asked(wish: BoxSubmission) -> dict[str, Any]:
    return {key: value for key, value in asdict(wish).items() if key not in _CHOSEN_ANEW}


def _hash(wish: BoxSubmission) -> bytes:
    return idempotency.hash_of(_asked(wish))


async def _begin(
    connection: Connection, call: Call, workspace: Workspace, box_id: UUID, wish: BoxSubmission
) -> tuple[boxes.Begun, list[int]]:
    """Write it; or find what was written with this id at the same moment."""
    try:
        async with connection.transaction():
            messages = await _written(connection, call, workspace, box_id, wish)
    except AlreadyExists:
        begun = await boxes.begun(connection, box_id)
        if begun is None:
            raise
        return begun, []
    return boxes.Begun(call.principal_id, _hash(wish), messages[0]), messages


async def _written(
    connection: Connection, call: Call, workspace: Workspace, box_id: UUID, wish: BoxSubmission
) -> list[int]:
    disk_id, resizing = None, list[int]()
    if wish.disk_name:
        await workspaces.hold(connection, workspace.id)
        disk_id, resizing = await disk_for_box(connection, call, workspace, wish.disk_name, wish.disk_size_gb)
    spec = _spec(workspace, box_id, wish, call.backends.box_image)
    ranks_as = spec.kind if wish.priority == PRIORITY_DEFAULT else ""
    request = _request(wish, spec, disk_id)
    submission = Submission(workspace.request.name, request, ranks_as=ranks_as)  # wherever the workspace is by then
    request = await checked_request(connection, workspace, submission)
    messages = await boxes.submit(
        connection,
        box_id,
        workspace.id,
        call.principal_id,
        request,
        spec,
        dict(wish.options),
        wish.github_user,
        wish.keys,
        wish.jupyter_wanted,
        call.now,
        jupyter_token=_new_token() if wish.jupyter_wanted else "",
        request_hash=_hash(wish),
    )
    return messages + resizing


def _spec(workspace: Workspace, box_id: UUID, wish: BoxSubmission, usual_image: str) -> JobSpec:
    return JobSpec(
        name=pod_name(box_id),
        kind=JobKind.BOX,
        namespace=workspace.request.namespaces[0],
        image=wish.image or usual_image,
        command=wish.command,
        environment=wish.environment,
        replicas=wish.nodes,
        gpus_per_replica=wish.gpus_per_node,
        keeps_entrypoint=wish.keeps_entrypoint,
        architecture=wish.architecture,
    )


def _request(wish: BoxSubmission, spec: JobSpec, disk_id: UUID | None) -> GprRequest:
    return GprRequest(
        name=wish.name or spec.name,
        nodes=wish.nodes,
        gpus_per_node=wish.gpus_per_node,
        duration_seconds=wish.hours * SECONDS_PER_HOUR + GRACE_SECONDS,
        priority=wish.priority,
        shape=wish.shape,
        instance_type=wish.instance_type,
        exclusive=False,
        namespace=spec.namespace,
        disk_id=disk_id,
        grace_seconds=GRACE_SECONDS,
    )


def _new_token() -> str:
    return secrets.token_urlsafe(32)


async def _box(connection: Connection, call: Call, reference: str, action: Action, *, hold: bool = False) -> Box:
    """The box that is meant, if the caller may do this to it. Held: its phase stays what it is."""
    missing = NotFound(f"box {reference!r} not found", box=reference)
    box_id = await _id_of(connection, call, reference)
    if box_id is None:
        raise missing
    bind_contextvars(gpr_id=str(box_id))
    try:
        gpr = await gpr_for(connection, call, str(box_id), action, hold=hold)
        return await boxes.find(connection, gpr.id)
    except NotFound as failure:
        raise missing from failure


async def _id_of(connection: Connection, call: Call, reference: str) -> UUID | None:
    try:
        return UUID(reference)
    except ValueError:
        pass
    digits = reference.replace("-", "").lower()
    if PREFIX_LENGTH_MIN <= len(digits) < PREFIX_LENGTH_MAX and not digits.strip("0123456789abcdef"):
        return await boxes.id_by_prefix(connection, call.principal_id, digits)
    return None


async def _living(connection: Connection, call: Call, reference: str) -> Box:
    box = await _box(connection, call, reference, Action.CHANGE, hold=True)
    if box.status not in _LIVE:
        raise WrongPhase(f"the box is {box.status}", phase=box.job.gpr.phase)
    return box


def _check_extension(box: Box, hours: int) -> None:
    if box.status not in {BoxStatus.PREPARING, BoxStatus.ACTIVE}:
        raise WrongPhase(f"only a box that is preparing or active can be extended: it is {box.status}")
    left = EXTENSION_HOURS_MAX - box.extended_hours
    if hours > left:
        raise InvalidRequest(
            f"a box can be extended by {EXTENSION_HOURS_MAX} hours in all, and {left or 'none'} of them are left",
            left=left,
        )


async def _told(connection: Connection, box: Box, messages: list[int]) -> Told:
    return Told(await boxes.find(connection, box.job.gpr.id), messages[0])
