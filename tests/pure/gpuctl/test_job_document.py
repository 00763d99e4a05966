"""The YAML of a job: what is taken, in which spellings, and the sentence for everything else."""

from __future__ import annotations

from typing import Any

import pytest

from api.dialects.gpuctl.field_types import JOB_NAME_LENGTH_MAX
from api.dialects.gpuctl.job_document import JobDocument, read_job
from api.dialects.gpuctl.sections import PROBLEMS_MAX
from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml
from api.problems import InvalidFields
from domain.failures import InvalidRequest
from tests.builders_gpuctl import a_job, as_text, the_job

EVERYTHING = """
kind: inference
version: v0.1
job: {name: serve, namespace: team-a, priority: high, description: "large model, 大"}
environment:
  image: registry.example/vllm:0.5
  imagePullSecret: pull
  command: [python, -m, vllm]
  args: ["--port", "8000"]
  env:
    - {name: A_B, value: "1"}
    - name: EMPTY
service: {replicas: 2, port: 9000, health-check: /health, timeout: 30s}
resources: {pool: fast, gpu: 2, gpu-type: a100-80g, cpu: 8, memory: 32Gi, gpu-share: 2Gi}
storage:
  workdirs: [{path: /models/}, {path: /cache}]
"""
WRONG = {
    "no job": ({"job": None}, "job: is required"),
    "no name": ({"job": {"name": None}}, "job.name: is required"),
    "no image": ({"environment": {"image": None}}, "environment.image: is required"),
    "a section that is a list": ({"job": ["a"]}, "job: must be a mapping of fields, not a list"),
    "a section that is a text": ({"resources": "gpu"}, "resources: must be a mapping of fields, not the text 'gpu'"),
    "a number as name": ({"job": {"name": 8}}, "job.name: must be a text: put it in quotes"),
    "an upper-case name": ({"job": {"name": "Train"}}, "job.name: 'Train' is not a name: 1 to 52 lower-case"),
    "a name with a dot": ({"job": {"name": "a.b"}}, "job.name: 'a.b' is not a name"),
    "a name in another script": ({"job": {"name": "训练"}}, "job.name: '训练' is not a name"),
    "a name with foreign digits": ({"job": {"name": "a٣"}}, "is not a name"),
    "a name that ends in a dash": ({"job": {"name": "a-"}}, "job.name: 'a-' is not a name"),
    "a name with a line's end": ({"job": {"name": "a\n"}}, "is not a name"),
    "a long name": ({"job": {"name": "a" * (JOB_NAME_LENGTH_MAX + 1)}}, "is not a name: 1 to 52"),
    "a path as namespace": ({"job": {"namespace": "../x"}}, "job.namespace: '../x' is not a name"),
    "a word for priority": (
        {"job": {"priority": "urgent"}},
        "job.priority: must be 'high', 'medium' or 'low', not the text 'urgent'",
    ),
    "a number for priority": (
        {"job": {"priority": 5}},
        "job.priority: must be 'high', 'medium' or 'low', not the number 5",
    ),
    "no duration": ({"job": {"duration": "soon"}}, "job.duration: 'soon' is not a duration"),
    "a bare number for duration": ({"job": {"duration": 7200}}, "job.duration: must be a text: put it in quotes"),
    "too many retries": ({"job": {"retries": 101}}, "job.retries: must be at most 100, not the number 101"),
    "a text for command": (
        {"environment": {"command": "python x.py"}},
        "environment.command: must be a list, not the text 'python x.py'",
    ),
    "a number in args": (
        {"environment": {"args": ["--port", 8000]}},
        "environment.args[1]: must be a text, not the number 8000: put it in quotes",
    ),
    "a blank in the image": ({"environment": {"image": "a b"}}, "environment.image: must be the name of an image"),
    "a variable without name": ({"environment": {"env": [{"value": "x"}]}}, "environment.env[0].name: is required"),
    "a variable like a command": (
        {"environment": {"env": [{"name": "A B", "value": "x"}]}},
        "environment.env[0].name: 'A B' is not the name of a variable",
    ),
    "a variable twice": (
        {"environment": {"env": [{"name": "A"}, {"name": "A"}]}},
        "environment.env[1].name: 'A' is given twice",
    ),
    "variables as a mapping": ({"environment": {"env": {"A": "b"}}}, "environment.env: must be a list, not a mapping"),
    "a text for gpu": ({"resources": {"gpu": "two"}}, "resources.gpu: must be a whole number, not the text 'two'"),
    "half a GPU": ({"resources": {"gpu": 0.5}}, "resources.gpu: must be a whole number, not the number 0.5"),
    "true GPUs": ({"resources": {"gpu": True}}, "resources.gpu: must be a whole number, not the word true"),
    "less than no GPU": ({"resources": {"gpu": -1}}, "resources.gpu: must be at least 0, not the number -1"),
    "too many GPUs": ({"resources": {"gpu": 65}}, "resources.gpu: must be at most 64, not the number 65"),
    "no CPU": ({"resources": {"cpu": 0}}, "resources.cpu: must be more than zero"),
    "less than a thousandth": ({"resources": {"cpu": "0.0001"}}, "resources.cpu: '0.0001' is not an amount of CPU"),
    "CPU below zero": ({"resources": {"cpu": -1}}, "resources.cpu: '-1' is not an amount of CPU"),
    "CPU as a list": ({"resources": {"cpu": [1]}}, "resources.cpu: must be an amount of CPU, as in"),
    "memory without a unit": ({"resources": {"memory": 32}}, "resources.memory: '32' is less than any container needs"),
    "memory in thousandths": ({"resources": {"memory": "128m"}}, "resources.memory: '128m' is not an amount of memory"),
    "memory as people say it": ({"resources": {"memory": "32GB"}}, "'32GB' is not an amount of memory"),
    "all memory there is": ({"resources": {"memory": "17Pi"}}, "resources.memory: '17Pi' is more than 16Pi"),
    "a pool in capitals": ({"resources": {"pool": "Fast"}}, "resources.pool: 'Fast' is not a name"),
    "a way out": ({"storage": {"workdirs": [{"path": "/a/../b"}]}}, "storage.workdirs[0].path: must not contain '..'"),
    "a relative path": ({"storage": {"workdirs": [{"path": "a"}]}}, "workdirs[0].path: must be an absolute path"),
    "a path with a colon": ({"storage": {"workdirs": [{"path": "/a:rw"}]}}, "path: must be an absolute path"),
    "one path in two spellings": (
        {"storage": {"workdirs": [{"path": "/a"}, {"path": "/a/"}]}},
        "storage.workdirs[1].path: '/a' is given twice",
    ),
    "a path that is a text": ({"storage": {"workdirs": ["/a"]}}, "workdirs[0]: must be a mapping of fields"),
    "another version": ({"version": "v2"}, "version: must be 'v0.1' or 'v1', not the text 'v2'"),
    "NUL": ({"job": {"description": "a\0b"}}, "job.description: must not contain the character NUL"),
    "a training job that listens": ({"service": {"port": 80}}, "service: a training job does not listen"),
    "an unknown field": ({"resources": {"gpus": 1}}, "resources.gpus: there is no such field (did you mean 'gpu'?)"),
    "an unknown section": ({"storge": {}}, "storge: there is no such field (did you mean 'storage'?)"),
    "an unknown field with a dash": ({"resources": {"gpu-typ": "x"}}, "(did you mean 'gpu-type'?)"),
    "an unknown field that is null": (
        {"job": {"nmae": None}},
        "job.nmae: there is no such field (did you mean 'name'?)",
    ),
    "a field like nothing else": (
        {"storage": {"zzz": 1}},
        "storage.zzz: there is no such field (known here: workdirs)",
    ),
    "a field of a variable": (
        {"environment": {"env": [{"name": "A", "valueFrom": "x"}]}},
        "environment.env[0].valueFrom: there is no such field (did you mean 'value'?)",
    ),
    "a field in two spellings": (
        {"resources": {"gpuType": "a", "gpu-type": "a"}},
        "resources.gpu-type: is the same field as 'gpuType', given twice",
    ),
}
SERVICES = {
    "a port out of range": ("inference", {"service": {"port": 65536}}, "service.port: must be at most 65535"),
    "no replicas": ("inference", {"service": {"replicas": 0}}, "service.replicas: must be at least 1"),
    "a health check elsewhere": (
        "inference",
        {"service": {"healthCheck": "http://x"}},
        "service.healthCheck: must be an HTTP",
    ),
    "two pods of a notebook": ("notebook", {"service": {"replicas": 2}}, "service.replicas: a notebook is one pod"),
    "nodes of a service": ("compute", {"resources": {"nodes": 2}}, "resources.nodes: only a training job has nodes"),
    "retries of a service": ("compute", {"job": {"retries": 1}}, "job.retries: only a training job is retried"),
}


def test_a_document_with_everything_is_read() -> None:
    job = read_job(load_yaml(EVERYTHING))
    assert job.service is not None
    assert (job.service.health_check, job.service.timeout, job.service.port) == ("/health", "30s", 9000)
    assert (job.resources.gpu_type, job.resources.gpu_share, job.resources.cpu) == ("a100-80g", "2Gi", "8")
    assert [(one.name, one.value) for one in job.environment.env] == [("A_B", "1"), ("EMPTY", "")]
    assert [one.path for one in job.storage.workdirs] == ["/models", "/cache"]


def test_the_three_spellings_mean_the_same() -> None:
    kebab = read_job(load_yaml(EVERYTHING))
    camel = EVERYTHING
    for one, other in (("health-check", "healthCheck"), ("gpu-type", "gpuType"), ("gpu-share", "gpuShare")):
        camel = camel.replace(one, other)
    snake = EVERYTHING.replace("h-c", "h_c").replace("gpu-", "gpu_").replace("imagePullSecret", "image_pull_secret")
    assert read_job(load_yaml(camel)) == kebab == read_job(load_yaml(snake))
    assert read_job(load_yaml(EVERYTHING.replace("imagePullSecret", "image-pull-secret"))) == kebab


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_said_in_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal_of({**a_job(), **changed(a_job(), changes)})


@pytest.mark.parametrize(("kind", "changes", "sentence"), SERVICES.values(), ids=SERVICES.keys())
def test_what_is_wrong_with_a_service_is_said_too(kind: str, changes: dict[str, Any], sentence: str) -> None:
    assert sentence in refusal_of(a_job(kind, **changes))


def test_a_finding_knows_its_line() -> None:
    text = "kind: training\njob:\n  name: A\nenvironment:\n  image: x\n  imgae: y\nresources:\n  gpu: 99\n  cpu: x\n"
    with pytest.raises(InvalidFields) as refused:
        read_job(load_yaml(text))
    found = {problem.field: problem.message for problem in refused.value.fields}
    assert set(found) == {"job.name", "environment.imgae", "resources.gpu", "resources.cpu"}
    assert [found[field][-8:] for field in sorted(found)] == ["(line 6)", "(line 3)", "(line 9)", "(line 8)"]


def test_no_answer_is_longer_than_somebody_reads() -> None:
    many = a_job(resources={f"unknown-{place}": 1 for place in range(4000)})
    assert refusal_of(many).count("there is no such field") == PROBLEMS_MAX
    assert len(refusal_of(a_job(resources={"x" * 60_000: 1}))) < 300
    assert len(refusal_of(a_job(environment={"env": [{"name": "A"}] * 400}))) < 3000


@pytest.mark.parametrize("kind", ["pool", "Trainings", "", 5, ["training"]])
def test_an_unsupported_kind_is_told_before_anything_else(kind: object) -> None:
    with pytest.raises(InvalidRequest, match=r"Unsupported kind: .*known here: training, inference"):
        read_job(as_text({"kind": kind, "nonsense": 1}))


def test_a_document_without_kind_says_so() -> None:
    with pytest.raises(InvalidFields, match="kind: is required: one of training"):
        read_job(load_yaml("job: {name: a}"))


def test_a_secret_value_is_not_repeated_in_the_answer() -> None:
    message = refusal_of(a_job(environment={"env": [{"name": "PIN", "value": 271828}]}))
    assert "environment.env[0].value: must be a text" in message
    assert "271828" not in message


@pytest.mark.parametrize("name", ["batch", "logs", "labels", "ws", "gpu-detail", "7b-tune", "a" * JOB_NAME_LENGTH_MAX])
def test_names_that_look_like_paths_are_names(name: str) -> None:
    assert the_job(job={"name": name}).job.name == name


@pytest.mark.parametrize(("given", "kept"), [(8, "8"), ("8", "8"), (0.5, "500m"), ("1500m", "1500m"), ("2000m", "2")])
def test_cpu_has_one_spelling(given: object, kept: str) -> None:
    assert the_job(resources={"cpu": given}).resources.cpu == kept


@pytest.mark.parametrize("gpu", [2, "2", 2.0])
def test_a_whole_number_may_come_as_text(gpu: object) -> None:
    assert the_job(resources={"gpu": gpu}).resources.gpu == 2


@pytest.mark.parametrize("version", [None, "v0.1", "v1"])
def test_the_versions_in_the_wild_are_taken(version: str | None) -> None:
    assert as_job({**a_job(), "version": version}).version == version


def test_a_section_whose_lines_are_all_comments_is_not_given() -> None:
    assert as_job({**a_job(), "resources": None, "storage": None}).resources.gpu == 0


def test_the_kind_may_begin_with_a_capital() -> None:
    assert as_job({**a_job(), "kind": "Training"}).kind == "training"


def as_job(content: dict[str, Any]) -> JobDocument:
    return read_job(as_text(content))


def changed(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Mappings are laid over, anything else replaces."""
    return {
        name: {**content.get(name, {}), **change} if isinstance(change, dict) else change
        for name, change in changes.items()
    }


def refusal_of(content: dict[str, Any]) -> str:
    with pytest.raises(InvalidFields) as refused:
        read_job(YamlDocument(content))
    return refused.value.message
