"""Between this API's jobs and Berth's boxes. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final, Literal
from uuid import UUID

from api.dialects.gpudev import schemas
from api.dialects.gpudev.gpu_types import ARCHITECTURES, DEFAULT, KINDS, count_of, kind_of
from api.operations.boxes import BoxQuery, BoxSubmission
from domain.box import LOGIN, Box, BoxStatus
from domain.failures import InvalidRequest, NotFound
from domain.gpr import Phase
from domain.job import RESERVED_VARIABLES, EnvironmentVariable, ObservedPod

if TYPE_CHECKING:
    from api.operations.availability import Choice
    from api.operations.boxes import Submitted, Told
    from domain.gpu_kinds import GpuKind

SECONDS_PER_HOUR: Final = 3600
GPU_TYPE: Final = "gpu_type"
"""Under this the type that was asked for is kept with a box."""
GPU_COUNT: Final = "gpu_count"
CONTROL_WORDS: Final = frozenset(
    {
        "RESERVATION_ID",
        "GPU_TYPE",
        "GPU_COUNT",
        "GITHUB_USER",
        "POD_NAME",
        "JUPYTER_ENABLED",
        "USER_ID",
        "RECREATE_ENV",
        "PRESERVE_ENTRYPOINT",
        "DOCKER_ENABLED",
    }
)
"""Variables by which clients say what they want of us; they do not reach the box."""
_YES: Final = frozenset({"1", "true", "yes", "on"})
_LIVE: Final = frozenset({Phase.PROVISIONING, Phase.ACTIVE})


@dataclass(frozen=True, slots=True)
class BoxOrder:
    """A box that is asked for, before it is known how to ask for its GPUs."""

    kind: GpuKind
    gpus: int
    wish: schemas.JobSubmission
    words: Mapping[str, str]
    """The control words that were sent."""
    environment: tuple[EnvironmentVariable, ...]

    def says_yes(self, word: str) -> bool:
        """Whether this control word was sent and means yes."""
        return self.words.get(word, "").strip().lower() in _YES


# --- inward -----------------------------------------------------------------------------------------------------------


def order_of(wish: schemas.JobSubmission) -> BoxOrder:
    """What is asked for. Raises InvalidRequest."""
    variables = {name: _text(value) for name, value in (wish.env_vars or {}).items()}
    if reserved := sorted(RESERVED_VARIABLES.intersection(variables)):
        raise InvalidRequest(f"the variable {reserved[0]} cannot be set: it would open GPUs that are not the job's")
    words = {name: value for name, value in variables.items() if name in CONTROL_WORDS}
    kind = kind_of(words.get("GPU_TYPE"), wish.instance_type)
    environment = [EnvironmentVariable(name, value) for name, value in variables.items() if name not in CONTROL_WORDS]
    return BoxOrder(kind, count_of(kind, words.get("GPU_COUNT")), wish, words, tuple(environment))


def submission_of(order: BoxOrder, choice: Choice) -> BoxSubmission:
    """The box that is asked for, on GPUs that are asked for in this way."""
    wish, words, keeps_entrypoint = order.wish, order.words, order.says_yes("PRESERVE_ENTRYPOINT")
    return BoxSubmission(
        box_id=_reservation_id(words.get("RESERVATION_ID", "")),
        image=wish.image or "",
        shape=choice.wish.shape,
        instance_type=choice.wish.instance_type,
        nodes=choice.wish.nodes,
        gpus_per_node=choice.wish.gpus_per_node,
        hours=wish.duration_hours,
        command=_line(wish.command or "", keeps_entrypoint=keeps_entrypoint),
        environment=order.environment,
        keeps_entrypoint=keeps_entrypoint,
        architecture=ARCHITECTURES.get(order.kind.name, ""),
        github_user=words.get("GITHUB_USER", "").strip(),
        jupyter_wanted=order.says_yes("JUPYTER_ENABLED"),
        disk_name=wish.disk_name or "",
        disk_size_gb=wish.disk_size_gb,
        name=words.get("POD_NAME", "").strip(),
        options={GPU_TYPE: order.kind.name, GPU_COUNT: str(order.gpus)},
    )


def query_of(statuses: Sequence[str] | None, limit: int, offset: int) -> BoxQuery:
    """Which boxes to list. Raises InvalidRequest for a status that there is not."""
    words = [word.strip().lower() for part in statuses or () for word in part.split(",") if word.strip()]
    known = schemas.STATUS_WORDS
    unknown = next((word for word in words if word not in known), None)
    if unknown is not None:
        raise InvalidRequest(f"unknown status {unknown[:80]!r}; known statuses: {', '.join(known)}")
    wanted = frozenset(status for status in BoxStatus if status.value in words)
    return BoxQuery(wanted if words else None, limit, offset)


def id_of(text: str) -> str:
    """The id of a box as Berth spells it, or NotFound: clients then look through their boxes for a short one."""
    missing = NotFound(f"Job {text!r} not found")
    try:
        found = UUID(text)
    except ValueError as error:
        raise missing from error
    if str(found) != text.lower():
        raise missing
    return str(found)


def _text(value: schemas.Variable) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _reservation_id(text: str) -> UUID | None:
    if not text.strip():
        return None
    try:
        return UUID(text.strip())
    except ValueError as error:
        raise InvalidRequest(f"RESERVATION_ID {text[:80]!r} is not a UUID") from error


def _line(command: str, *, keeps_entrypoint: bool) -> tuple[str, ...]:
    """For a shell; or, where the image's own program runs, what that is given."""
    if not command.strip():
        return ()
    if not keeps_entrypoint:
        return ("/bin/sh", "-c", command)
    try:
        return tuple(shlex.split(command))
    except ValueError as error:
        raise InvalidRequest(f"the command cannot be read: {error}") from error


# --- outward ----------------------------------------------------------------------------------------------------------


def submitted(made: Submitted, order: BoxOrder, choice: Choice) -> schemas.JobSubmitted:
    """A box was taken. When it starts depends on its disk, too: then only the plan itself can tell."""
    message = f"Job submitted successfully to queue (message ID: {made.message_id})"
    if order.says_yes("DOCKER_ENABLED"):
        message += ". There is no Docker inside a box: DOCKER_ENABLED changes nothing"
    return schemas.JobSubmitted(
        job_id=str(made.id),
        status="queued",
        message=message,
        estimated_start_time=None if order.wish.disk_name else choice.starts_at,
    )


Action = Literal["cancel", "extend", "enable_jupyter", "disable_jupyter", "add_user"]


def action(told: Told, what: Action, sentence: str) -> schemas.JobAction:
    """A wish was taken."""
    message = f"{sentence} (message ID: {told.message_id})"
    return schemas.JobAction(job_id=str(told.box.job.gpr.id), action=what, message=message)


def job(box: Box, now: datetime) -> schemas.Job:
    """A box. Nobody is led to one that cannot be entered."""
    gpr, spec, kind = box.job.gpr, box.job.spec, _kind(box)
    entrance = _entrance(box)
    address = entrance.node_address if entrance else None
    ports = entrance.node_ports if entrance else {}
    waits = gpr.phase is Phase.QUEUED
    jupyter = ports.get("jupyter") if box.jupyter_wanted and box.jupyter_token else None
    return schemas.Job(
        job_id=str(gpr.id),
        reservation_id=str(gpr.id),
        user_id=gpr.submitted_by,
        status=box.status.value,
        gpu_type=kind.name,
        gpu_count=gpr.request.gpus,
        instance_type=kind.instance_type,
        duration_hours=_hours(box),
        created_at=gpr.submitted_at,
        expires_at=box.expires_at,
        name=gpr.request.name,
        pod_name=spec.name,
        node_ip=address,
        node_port=ports.get("ssh"),
        ssh_command=f"ssh -p {ports['ssh']} {LOGIN}@{address}" if "ssh" in ports else None,
        jupyter_enabled=box.jupyter_wanted,
        jupyter_url=f"http://{_host(address)}:{jupyter}/lab?token={box.jupyter_token}" if address and jupyter else None,
        jupyter_token=box.jupyter_token if jupyter else None,
        github_user=box.github_user or None,
        secondary_users=list(box.secondary_users),
        disk_name=box.disk_name or None,
        total_nodes=gpr.request.nodes,
        launched_at=gpr.active_at,
        remaining_seconds=_remaining(box, now),
        estimated_start_time=gpr.estimate.starts_at if waits else None,
        queue_position=gpr.estimate.position or None if waits else None,
        current_detailed_status=_detail(box),
        failure_reason=gpr.failure or None,
        warning="; ".join(f"{person.name}: {person.failure}" for person in box.people if person.failure) or None,
    )


def _host(address: str) -> str:
    """As it stands in a URL."""
    return f"[{address}]" if ":" in address else address


def _kind(box: Box) -> GpuKind:
    return KINDS.get(str(box.job.gpr.options.get(GPU_TYPE)), DEFAULT)


def _entrance(box: Box) -> ObservedPod | None:
    observed = box.job.observed
    return observed.entrance if observed is not None and box.status is BoxStatus.ACTIVE else None


def _hours(box: Box) -> float:
    """What was asked for, and by what it was extended; whatever became of it."""
    seconds = (box.job.gpr.request.duration_seconds or 0) - box.grace_seconds
    return seconds / SECONDS_PER_HOUR + box.extended_hours


def _remaining(box: Box, now: datetime) -> int | None:
    if box.expires_at is None or box.job.gpr.phase is not Phase.ACTIVE:
        return None
    return max(0, int((box.expires_at - now).total_seconds()))


def _detail(box: Box) -> str:
    gpr, observed = box.job.gpr, box.job.observed
    if gpr.phase is Phase.QUEUED:
        return gpr.estimate.reason
    if observed is None or gpr.phase not in _LIVE:
        return ""
    return f"{observed.reason}: {observed.message}".strip(": ")
