"""The only speller of ids and names that others rely on: workflow ids, task queues, token keys, external ids.

These are wire contracts: running workflows, clusters and clients hold on to them, so they never change meaning.
"""

from __future__ import annotations

import re
from uuid import UUID

from domain.failures import InvalidRequest
from domain.slices import DEVICE_PREFIX, GPU_RESOURCE

LABEL_DOMAIN = "berth.io"
WORKSPACE_LABEL = f"{LABEL_DOMAIN}/workspace"
LEASE_LABEL = f"{LABEL_DOMAIN}/lease"
"""On a job's pods: the fence of the lease whose GPUs they use. Only Berth may write it (`clusters/policies`)."""
JOB_LABEL = f"{LABEL_DOMAIN}/job"
"""On everything that was made for a job: the job's id."""
DISK_LABEL = f"{LABEL_DOMAIN}/disk"
"""On a disk's claims and snapshots: the disk's id. They outlive the jobs that use them."""
DISK_NAME_LABEL = f"{LABEL_DOMAIN}/disk-name"
"""Beside it: what people call the disk."""
MANAGED_TAINT = f"{LABEL_DOMAIN}/managed"
QUARANTINE_TAINT = f"{LABEL_DOMAIN}/quarantine"

SCHEDULING_DOMAIN = "default"
CORE_TASK_QUEUE = "core"
SAMPLES_SCHEDULE_ID = "keep/samples"
"""Of the Temporal Schedule that rolls samples of GPUs up, and drops old ones."""
HARDWARE_SCHEDULE_ID = "watch/hardware"
"""Of the Temporal Schedule that looks at what the GPUs did and reported."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_DNS_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?", re.ASCII)
_LEASE_TOKEN = re.compile(rf"lease-[0-9]{{1,9}}\.{re.escape(LABEL_DOMAIN)}/[a-z0-9.-]+", re.ASCII)
NAME_LENGTH_MAX = 63
GPR_NAME_LENGTH_MAX = 40


def gpr_workflow_id(gpr_id: UUID | str) -> str:
    """Workflow id of a Gpr's lifecycle."""
    return f"gpr/{gpr_id}"


def job_workflow_id(gpr_id: UUID | str) -> str:
    """Workflow id of a job's lifecycle."""
    return f"job/{gpr_id}"


def disk_operation_workflow_id(operation_id: UUID | str) -> str:
    """Workflow id of an operation on a disk."""
    return f"disk-op/{operation_id}"


def reservation_workflow_id(reservation_id: UUID | str) -> str:
    """Workflow id of what keeps a reservation."""
    return f"reservation/{reservation_id}"


def workspace_workflow_id(workspace_id: UUID | str) -> str:
    """Workflow id of a workspace's lifecycle."""
    return f"workspace/{workspace_id}"


def recovery_workflow_id(quarantine_id: UUID | str) -> str:
    """Workflow id of the recovery of GPUs that are set aside."""
    return f"recovery/{quarantine_id}"


def arbiter_workflow_id(scheduling_domain: str = SCHEDULING_DOMAIN) -> str:
    """Workflow id of the arbiter of a scheduling domain."""
    return f"arbiter/{scheduling_domain}"


def reconcile_schedule_id(subject: str) -> str:
    """Id of the Temporal Schedule that compares the three truths for a cluster, or for the ledger itself."""
    return f"reconcile/{subject}"


def cluster_task_queue(cluster: str) -> str:
    """Task queue of the steps that need this cluster's Kubernetes API."""
    return f"kube-{cluster}"


def node_task_queue(cluster: str, node: str) -> str:
    """Task queue of the node's own agent (NVML steps)."""
    return f"nvml-{cluster}-{node}"


def external_gpr_id(gpr_id: UUID) -> str:
    """The id that EGS clients see: `gpr-` + 8 hex + `-` + 4 hex, taken from the id itself."""
    text = gpr_id.hex
    return f"gpr-{text[-12:-4]}-{text[-4:]}"


def tenant_label(workspace_name: str, workspace_id: UUID) -> str:
    """The workspace's DNS label in clusters: readable, and new for each workspace even when a name is used again."""
    readable = re.sub(r"[^a-z0-9]+", "-", workspace_name.lower()).strip("-")[:20].strip("-")
    return f"{readable or 'ws'}-{workspace_id.hex[-10:]}"


def token_key(tenant: str, resource: str = GPU_RESOURCE) -> str:
    """The extended resource whose count on a node says how many of its devices there are the workspace's to use."""
    return f"{tenant}.{LABEL_DOMAIN}/{resource.removeprefix(DEVICE_PREFIX)}"


def lease_token_key(fence: int, resource: str = GPU_RESOURCE) -> str:
    """The extended resource that counts a job's own devices. No tenant's key: a tenant label ends in ten hex digits."""
    return token_key(f"lease-{fence}", resource)


def is_token(key: str) -> bool:
    """Whether this extended resource is a capacity token of Berth's."""
    return f".{LABEL_DOMAIN}/" in key


def resource_of(token: str) -> str:
    """The devices that a token counts: `<tenant>.berth.io/mig-1g.5gb` is for `nvidia.com/mig-1g.5gb`."""
    return f"{DEVICE_PREFIX}{token.partition('/')[2]}"


def is_lease_token(key: str) -> bool:
    """Whether this is the token of a job's own lease rather than a workspace's."""
    return bool(_LEASE_TOKEN.fullmatch(key))


def access_anchor_name(fence: int) -> str:
    """The Secret that a kubeconfig issued during a lease is bound to; it dies with the lease."""
    return f"berth-access-{fence}"


def checked_name(text: str, what: str, length_max: int = NAME_LENGTH_MAX) -> str:
    """A name for people: letters, digits, dot, dash, underscore; or InvalidRequest."""
    if not text or len(text) > length_max or not _NAME.fullmatch(text):
        raise InvalidRequest(
            f"{what} must be 1 to {length_max} letters, digits, '.', '_' or '-', "
            f"beginning and ending with a letter or digit"
        )
    return text


def checked_namespace(text: str) -> str:
    """A Kubernetes namespace that Berth may make, or InvalidRequest."""
    if not text or len(text) > NAME_LENGTH_MAX or not _DNS_LABEL.fullmatch(text):
        raise InvalidRequest(
            f"{text!r} is not a Kubernetes namespace name (lower-case letters, digits, '-', at most 63)"
        )
    if text.startswith("kube-") or text in {"default", "berth-system"}:
        raise InvalidRequest(f"namespace {text!r} belongs to the cluster and cannot be given to a workspace")
    return text
