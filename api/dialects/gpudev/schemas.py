"""The words of the GPU Dev API's bodies, as its document and its clients spell them.

Fields that a client sends beyond the document are left aside; answers have the document's fields and a few more.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from api.wording import WHOLE
from domain import github
from domain.disk import NAME_LENGTH_MAX, SIZE_GB_DEFAULT, SIZE_GB_MAX, SIZE_GB_MIN

HOURS_MAX: Final = 72
VARIABLES_MAX: Final = 500
VALUE_LENGTH_MAX: Final = 32 * 1024
COMMAND_LENGTH_MAX: Final = 32 * 1024
_VARIABLE: Final = r"^[-._a-zA-Z][-._a-zA-Z0-9]{0,252}$"
_NO_NUL: Final = r"^[^\x00]*$"


def _without_nul(value: Any) -> Any:
    if isinstance(value, str) and "\0" in value:
        raise ValueError("must not contain the character NUL")
    return value


_NoNul = Annotated[str, Field(strict=True, json_schema_extra={"pattern": _NO_NUL}), AfterValidator(_without_nul)]
Hours = Annotated[int, Field(strict=True, ge=1, le=HOURS_MAX), WHOLE]
SizeGb = Annotated[int, Field(strict=True, ge=SIZE_GB_MIN, le=SIZE_GB_MAX), WHOLE]
Image = Annotated[str, Field(strict=True), StringConstraints(pattern=r"^[!-~]*$", max_length=500)]
TypeWord = Annotated[_NoNul, StringConstraints(max_length=100)]
Command = Annotated[_NoNul, StringConstraints(max_length=COMMAND_LENGTH_MAX)]
VariableName = Annotated[str, StringConstraints(pattern=_VARIABLE)]
Variable = Annotated[_NoNul, StringConstraints(max_length=VALUE_LENGTH_MAX)] | bool | int | float
Variables = Annotated[
    dict[VariableName, Variable],
    Field(max_length=VARIABLES_MAX, json_schema_extra={"additionalProperties": False}),
]
GithubName = Annotated[
    str,
    Field(
        strict=True,
        json_schema_extra={
            "pattern": github.NAME_PATTERN,
            "minLength": 1,
            "maxLength": github.NAME_LENGTH_MAX,
        },
    ),
]
"""Documented here, like the names of disks; the domain checks them with a better sentence."""
DiskName = Annotated[
    str,
    Field(strict=True, json_schema_extra={"pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": NAME_LENGTH_MAX}),
]
DiskNameOrNone = Annotated[
    str, Field(strict=True, json_schema_extra={"pattern": "^[A-Za-z0-9_-]*$", "maxLength": NAME_LENGTH_MAX})
]

StatusWord = Literal["pending", "queued", "preparing", "active", "expired", "cancelled", "failed"]
STATUS_WORDS: Final = get_args(StatusWord)
_ONE_STATUS: Final = f"({'|'.join(STATUS_WORDS)})"
STATUSES: Final = {"type": "string", "pattern": f"^({_ONE_STATUS}(,{_ONE_STATUS})*)?$"}
"""Documented; who spells one wrongly is told which there are."""


class Request(BaseModel):
    """A body that a client sends."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Answer(BaseModel):
    """Something that Berth sends."""

    model_config = ConfigDict(frozen=True)


# --- failures ---------------------------------------------------------------------------------------------------------


class Failure(Answer):
    """An answer that is not a success: a sentence for a person."""

    detail: str


class FieldFailure(Answer):
    """What is wrong with one field. `input` is never repeated: it may be a secret."""

    type: str
    loc: list[str | int]
    msg: str
    input: None = None


class ValidationFailure(Answer):
    """An answer to a request whose shape is not right."""

    detail: list[FieldFailure]


# --- jobs -------------------------------------------------------------------------------------------------------------


class JobSubmission(Request):
    """A dev box. The GPU choice travels in `env_vars` (GPU_TYPE, GPU_COUNT), or in `instance_type`."""

    image: Image | None = Field(None, description="Absent: the usual image.")
    instance_type: TypeWord | None = Field(None, description="As in p5.48xlarge; env_vars.GPU_TYPE goes before it.")
    duration_hours: Hours = 1
    disk_name: DiskNameOrNone | None = Field(None, description="A disk of one's own; made where it is not there yet.")
    disk_size_gb: SizeGb | None = Field(None, description="Of a disk that is made.")
    env_vars: Variables | None = None
    command: Command | None = Field(None, description="Runs in the box beside its people.")


class Extension(Request):
    """More time."""

    extension_hours: Hours


class NewUser(Request):
    """Somebody who may enter, by the keys that GitHub knows of them."""

    github_username: GithubName


class JobSubmitted(Answer):
    """A box was taken. `estimated_start_time` is null where it is not known at once."""

    job_id: str
    status: StatusWord
    message: str
    estimated_start_time: datetime | None


class JobAction(Answer):
    """A wish about a box was taken."""

    job_id: str
    action: Literal["cancel", "extend", "enable_jupyter", "disable_jupyter", "add_user"]
    status: Literal["requested"] = "requested"
    message: str


class Job(Answer):
    """A box. What is not true yet, or no more, is null."""

    job_id: str
    reservation_id: str
    user_id: str
    status: StatusWord
    gpu_type: str
    gpu_count: int
    instance_type: str
    duration_hours: float
    created_at: datetime
    expires_at: datetime | None
    name: str
    pod_name: str
    node_ip: str | None
    node_port: int | None
    ssh_command: str | None
    jupyter_enabled: bool
    jupyter_url: str | None
    jupyter_token: str | None
    github_user: str | None
    secondary_users: list[str] = Field(description="Those besides the owner whose keys are in the box.")
    disk_name: str | None
    total_nodes: int
    launched_at: datetime | None
    remaining_seconds: int | None = Field(description="Until `expires_at`.")
    estimated_start_time: datetime | None = Field(description="Of one that waits.")
    queue_position: int | None
    current_detailed_status: str = Field(description="Why it waits, or what it waits for; empty when all is well.")
    failure_reason: str | None
    warning: str | None = Field(description="Whose keys could not be had, and why.")


class JobPage(Answer):
    """Boxes, newest first; `total` counts all that the filter lets through."""

    jobs: list[Job]
    total: int
    limit: int
    offset: int


# --- GPUs -------------------------------------------------------------------------------------------------------------


class NextAvailable(Answer):
    """When so many GPUs could be had together, by a box of an hour that is asked for now; null: nobody can know."""

    at: datetime | None
    wait_seconds: int | None
    nodes: int = Field(description="On how many nodes.")
    reason: str = Field(description="Why not now, as in `waiting_for_gpus`; empty: now.")


class TypeAvailability(Answer):
    """GPUs of one type: available + in_use = total. `next_available` is by number of GPUs."""

    gpu_type: str
    total: int
    available: int
    in_use: int
    queued: int
    max_per_node: int
    next_available: dict[str, NextAvailable]


class Availability(Answer):
    """What there is of each type, and when so many are free."""

    availability: dict[str, TypeAvailability]
    timestamp: datetime


class ClusterStatus(Answer):
    """Everything together. Each number of requests has two names, since the document and its clients say it differently."""

    total_gpus: int
    available_gpus: int
    in_use_gpus: int
    queued_gpus: int
    active_reservations: int
    preparing_reservations: int
    queued_reservations: int
    pending_reservations: int
    active_jobs: int
    preparing_jobs: int
    queued_jobs: int
    pending_jobs: int
    by_gpu_type: dict[str, TypeAvailability]
    timestamp: datetime


# --- disks ------------------------------------------------------------------------------------------------------------


class NewDisk(Request):
    """A disk that is asked for."""

    disk_name: DiskName
    size_gb: SizeGb | None = Field(None, description=f"Absent: {SIZE_GB_DEFAULT}.")


class NewDiskName(Request):
    """What a disk, or its copy, is to be called."""

    new_name: DiskName


class NewDiskSize(Request):
    """How large a disk is to be; it can only grow."""

    size_gb: SizeGb


class DiskRequested(Answer):
    """An operation on a disk was taken; ask for its status by its id."""

    operation_id: str
    disk_name: str
    action: str
    message: str
    requested_at: datetime


class DiskRenamed(Answer):
    """A disk has another name. `errors`: snapshots whose label still says the old one, and why; absent without any."""

    message: str
    old_name: str
    new_name: str
    snapshots_updated: int
    errors: list[str] | None = None


class Disk(Answer):
    """A disk."""

    disk_name: str
    user_id: str
    size_gb: int
    created_at: datetime
    last_used: datetime | None
    in_use: bool
    reservation_id: str | None = Field(description="The box that has it, or the first that waits for it.")
    is_backing_up: bool
    is_deleted: bool
    delete_date: date | None = Field(description="When a deleted one goes for good.")
    snapshot_count: int


class DiskList(Answer):
    """One's disks, without the deleted ones."""

    disks: list[Disk]
    total: int


class DiskContent(Answer):
    """The files of a disk, as they were when its last box ended. `s3_path` is null: Berth keeps them itself."""

    disk_name: str
    content: str | None
    s3_path: str | None
    snapshot_date: datetime | None
    message: str | None


class DiskOperation(Answer):
    """How far an operation on a disk is. `completed` is true as soon as it goes no further, failed or not."""

    operation_id: str
    disk_name: str
    action: str
    status: Literal["queued", "running", "completed", "failed"]
    error: str | None
    is_deleted: bool
    delete_date: date | None
    created_at: datetime
    last_updated: datetime
    completed: bool


class DiskOperationList(Answer):
    """What was done with a disk, newest first."""

    operations: list[DiskOperation]
    total: int
