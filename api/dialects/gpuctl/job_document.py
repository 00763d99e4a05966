"""The YAML of a job: its fields, their spellings and defaults, and what cannot be together.

What it means for Berth is in `job_translation.py`. Berth's own additions: `job.duration`, `job.retries` and
`resources.nodes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Annotated, Final, Literal, get_args

from pydantic import Field

from api.dialects.gpuctl.field_types import (
    Argument,
    Cpu,
    Duration,
    Gpus,
    GpuType,
    HostPath,
    Image,
    JobName,
    Memory,
    Name,
    Port,
    PriorityWord,
    Replicas,
    Retries,
    SecretName,
    Text,
    Timeout,
    UrlPath,
    VariableName,
    Version,
)
from api.dialects.gpuctl.sections import PROBLEMS_MAX, Section, kind_of, problem_at, read_section, told_by
from api.dialects.gpuctl.yaml_documents import Path, YamlDocument
from api.problems import InvalidFields
from domain.job import SERVICE_KINDS, JobKind

KindWord = Literal["training", "inference", "notebook", "compute"]
JOB_KINDS: Final = get_args(KindWord)
DEFAULT_POOL: Final = "default"
ARGUMENTS_MAX: Final = 1000
VARIABLES_MAX: Final = 500
WORKDIRS_MAX: Final = 32
HIDDEN: Final = "***"
"""Stands in answers instead of a variable's value, which may be a secret."""

_Contradiction = tuple[Path, str]


class JobIdentity(Section):
    """What it is called, where it goes, and how it ranks. `duration`: from its start; absent: until it ends."""

    name: JobName
    namespace: Name | None = None
    priority: PriorityWord = "medium"
    description: Text = ""
    duration: Duration | None = None
    retries: Retries | None = None


class Variable(Section):
    """A variable of the containers' environment."""

    name: VariableName
    value: Argument = ""


class Environment(Section):
    """What runs."""

    image: Image
    image_pull_secret: SecretName | None = None
    command: Annotated[list[Argument], Field(max_length=ARGUMENTS_MAX)] = Field(default_factory=list)
    args: Annotated[list[Argument], Field(max_length=ARGUMENTS_MAX)] = Field(default_factory=list)
    env: Annotated[list[Variable], Field(max_length=VARIABLES_MAX)] = Field(default_factory=list)


class Exposure(Section):
    """How a job that listens is reached."""

    replicas: Replicas = 1
    port: Port | None = None
    health_check: UrlPath | None = None
    timeout: Timeout | None = None


class Resources(Section):
    """What each replica needs. `nodes`: how many replicas a training job has, each on a node of its own choosing."""

    pool: Name = DEFAULT_POOL
    gpu: Gpus = 0
    gpu_type: GpuType = ""
    cpu: Cpu | None = None
    memory: Memory | None = None
    gpu_share: Memory | None = None
    nodes: Replicas = 1


class Workdir(Section):
    """A directory of the host, mounted where it is."""

    path: HostPath


class Storage(Section):
    """What is mounted."""

    workdirs: Annotated[list[Workdir], Field(max_length=WORKDIRS_MAX)] = Field(default_factory=list)


class JobDocument(Section):
    """A job as its author wrote it, checked."""

    kind: Annotated[KindWord, told_by(lambda kind: str(kind).lower())]
    version: Version | None = None
    job: JobIdentity
    environment: Environment
    service: Exposure | None = None
    resources: Resources = Field(default_factory=Resources)
    storage: Storage = Field(default_factory=Storage)


def read_job(document: YamlDocument) -> JobDocument:
    """The job that this document describes, or a failure that names each field that is wrong."""
    kind_of(document, JOB_KINDS)
    job = read_section(JobDocument, document)
    found = islice(_contradictions(job), PROBLEMS_MAX)
    problems = [problem_at(document, path, sentence) for path, sentence in found]
    if problems:
        raise InvalidFields(problems)
    return job


def _contradictions(job: JobDocument) -> Iterator[_Contradiction]:
    if JobKind(job.kind) in SERVICE_KINDS:
        yield from _of_a_service(job)
    elif job.service is not None:
        yield ("service",), "a training job does not listen: leave it out"
    if job.kind == "notebook" and job.service is not None and job.service.replicas != 1:
        yield ("service", "replicas"), "a notebook is one pod"
    for place, variable in enumerate(job.environment.env):
        if variable.value == HIDDEN:
            yield ("environment", "env", place, "value"), "was hidden in an answer: write the value itself"
    yield from _repeated(("environment", "env"), "name", [variable.name for variable in job.environment.env])
    yield from _repeated(("storage", "workdirs"), "path", [workdir.path for workdir in job.storage.workdirs])


def _of_a_service(job: JobDocument) -> Iterator[_Contradiction]:
    if job.resources.nodes != 1:
        yield ("resources", "nodes"), "only a training job has nodes: use service.replicas"
    if job.job.retries is not None:
        yield ("job", "retries"), "only a training job is retried: others are restarted until they are stopped"


def _repeated(path: Path, field: str, values: Sequence[str]) -> Iterator[_Contradiction]:
    repeated = {value for value, count in Counter(values).items() if count > 1}
    for place, value in enumerate(values):
        if value in repeated and value in values[:place]:
            yield (*path, place, field), f"{value!r} is given twice"
