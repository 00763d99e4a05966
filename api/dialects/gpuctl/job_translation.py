"""Between the YAML of a job and what Berth runs. Pure, and the same both ways: what comes out can be submitted again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from api.dialects.gpuctl.job_document import DEFAULT_POOL, HIDDEN, Exposure, JobDocument, KindWord
from domain.durations import format_duration, parse_duration
from domain.job import SERVICE_KINDS, EnvironmentVariable, JobKind, JobSpec
from domain.priority import Band, band_of

PRIORITY_OF: Final[Mapping[str, int]] = MappingProxyType({"high": 250, "medium": 150, "low": 50})
"""The middle of each band."""
PRIORITY_WORD: Final[Mapping[Band, str]] = MappingProxyType({Band.HIGH: "high", Band.MEDIUM: "medium", Band.LOW: "low"})
KIND_WORD: Final[Mapping[JobKind, KindWord]] = MappingProxyType(
    {
        JobKind.TRAINING: "training",
        JobKind.INFERENCE: "inference",
        JobKind.NOTEBOOK: "notebook",
        JobKind.COMPUTE: "compute",
        JobKind.BOX: "notebook",
    }
)
"""A box is somebody's interactive pod, too; who wants more of it asks where boxes are made."""
DEFAULT_NAMESPACE: Final = "default"
DOCUMENT_VERSION: Final = "v0.1"
SERVICE_PORT: Final = 8000
NOTEBOOK_PORT: Final = 8888


@dataclass(frozen=True, slots=True)
class JobOrder:
    """A job that is asked for. `options` are kept and echoed: they change nothing."""

    spec: JobSpec
    pool: str = DEFAULT_POOL
    gpu_type: str = ""
    """GPU product; empty: any."""
    priority: int = PRIORITY_OF["medium"]
    names_priority: bool = True
    duration_seconds: int | None = None
    """None: until it ends."""
    options: Mapping[str, str] = field(default_factory=dict)


def to_domain(document: JobDocument, *, namespace: str = DEFAULT_NAMESPACE) -> JobOrder:
    """What the document asks for. `namespace` is for documents that name none."""
    resources, duration = document.resources, document.job.duration
    options = {"gpu-share": resources.gpu_share, "timeout": document.service and document.service.timeout}
    return JobOrder(
        spec=_spec(document, document.job.namespace or namespace),
        pool=resources.pool,
        gpu_type=resources.gpu_type,
        priority=PRIORITY_OF[document.job.priority],
        names_priority="priority" in document.job.model_fields_set,
        duration_seconds=None if duration is None else parse_duration(duration),
        options={name: value for name, value in options.items() if value},
    )


def yaml_content_of(order: JobOrder, *, show_values: bool = False) -> dict[str, object]:
    """The document that asks for this, in the document's own shape; values of variables only where they may be seen."""
    spec = order.spec
    content: dict[str, object] = {"kind": KIND_WORD[spec.kind], "version": DOCUMENT_VERSION, "job": _identity(order)}
    content["environment"] = _environment(spec, show_values=show_values)
    if spec.kind in SERVICE_KINDS:
        content["service"] = _service(order)
    content["resources"] = _resources(order)
    if spec.host_paths:
        content["storage"] = {"workdirs": [{"path": path} for path in spec.host_paths]}
    return content


def kinds_called(word: KindWord) -> frozenset[JobKind]:
    """The kinds that go by this word."""
    return frozenset(kind for kind, called in KIND_WORD.items() if called == word)


def _spec(document: JobDocument, namespace: str) -> JobSpec:
    kind, environment, resources = JobKind(document.kind), document.environment, document.resources
    listens = kind in SERVICE_KINDS
    service = document.service or Exposure()
    spec = JobSpec(
        name=document.job.name,
        kind=kind,
        namespace=namespace,
        image=environment.image,
        command=tuple(environment.command),
        args=tuple(environment.args),
        environment=tuple(EnvironmentVariable(one.name, one.value) for one in environment.env),
        image_pull_secret=environment.image_pull_secret or "",
        replicas=service.replicas if listens else resources.nodes,
        gpus_per_replica=resources.gpu,
        cpu=resources.cpu or "",
        memory=resources.memory or "",
        port=(service.port or _default_port(kind)) if listens else 0,
        health_check=service.health_check or "",
        host_paths=tuple(workdir.path for workdir in document.storage.workdirs),
        description=document.job.description,
    )
    return spec if document.job.retries is None else replace(spec, retries=document.job.retries)


def _default_port(kind: JobKind) -> int:
    return NOTEBOOK_PORT if kind is JobKind.NOTEBOOK else SERVICE_PORT


def _identity(order: JobOrder) -> dict[str, object]:
    spec, seconds = order.spec, order.duration_seconds
    identity: dict[str, object] = {
        "name": spec.name,
        "namespace": spec.namespace,
        "priority": PRIORITY_WORD[band_of(order.priority)],
    }
    if spec.description:
        identity["description"] = spec.description
    if seconds is not None:
        identity["duration"] = format_duration(seconds)
    if spec.kind is JobKind.TRAINING:
        identity["retries"] = spec.retries
    return identity


def _environment(spec: JobSpec, *, show_values: bool) -> dict[str, object]:
    environment: dict[str, object] = {"image": spec.image}
    if spec.image_pull_secret:
        environment["imagePullSecret"] = spec.image_pull_secret
    environment["command"] = list(spec.command)
    if spec.args:
        environment["args"] = list(spec.args)
    if spec.environment:
        environment["env"] = [
            {"name": one.name, "value": one.value if show_values else HIDDEN} for one in spec.environment
        ]
    return environment


def _service(order: JobOrder) -> dict[str, object]:
    service: dict[str, object] = {"replicas": order.spec.replicas, "port": order.spec.port}
    if order.spec.health_check:
        service["health-check"] = order.spec.health_check
    if timeout := order.options.get("timeout"):
        service["timeout"] = timeout
    return service


def _resources(order: JobOrder) -> dict[str, object]:
    spec = order.spec
    resources: dict[str, object] = {"pool": order.pool, "gpu": spec.gpus_per_replica}
    named = {"gpu-type": order.gpu_type, "memory": spec.memory, "gpu-share": order.options.get("gpu-share")}
    if spec.cpu:
        resources["cpu"] = int(spec.cpu) if spec.cpu.isdecimal() else spec.cpu
    resources |= {name: value for name, value in named.items() if value}
    if spec.kind is JobKind.TRAINING and spec.replicas > 1:
        resources["nodes"] = spec.replicas
    return resources
