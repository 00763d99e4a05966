"""A document becomes what Berth runs, and what Berth runs becomes a document again."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api.dialects.gpuctl.field_types import JOB_NAME_LENGTH_MAX
from api.dialects.gpuctl.job_document import HIDDEN, read_job
from api.dialects.gpuctl.job_translation import JobOrder, to_domain, yaml_content_of
from api.dialects.gpuctl.yaml_documents import YamlDocument, load_yaml
from api.problems import InvalidFields
from domain.job import SERVICE_KINDS, EnvironmentVariable, JobKind, JobSpec
from domain.priority import band_of
from tests.builders_gpuctl import the_job, the_order


def test_a_short_document_has_the_defaults() -> None:
    assert the_order() == JobOrder(
        JobSpec("train", JobKind.TRAINING, "default", "pytorch:2", gpus_per_replica=1),
        pool="default",
        priority=150,
        names_priority=False,
    )


def test_a_priority_that_is_named_is_told_from_the_default() -> None:
    assert the_order(job={"priority": "medium"}).names_priority


@pytest.mark.parametrize(
    ("kind", "port"), [("training", 0), ("inference", 8000), ("compute", 8000), ("notebook", 8888)]
)
def test_a_job_that_listens_has_a_port(kind: str, port: int) -> None:
    assert the_order(kind).spec.port == port


def test_a_port_that_is_given_is_kept_even_for_a_notebook() -> None:
    assert the_order("notebook", service={"port": 9999}).spec.port == 9999


@pytest.mark.parametrize(("word", "number"), [("high", 250), ("medium", 150), ("low", 50), ("HIGH", 250)])
def test_priorities_stand_in_the_middle_of_their_bands(word: str, number: int) -> None:
    assert the_order(job={"priority": word}).priority == number
    assert band_of(number) == word.lower()


def test_the_namespace_comes_from_the_document_and_else_from_the_caller() -> None:
    named = the_job(job={"namespace": "team-a"})
    assert to_domain(named, namespace="mine").spec.namespace == "team-a"
    assert to_domain(the_job(), namespace="mine").spec.namespace == "mine"


def test_nodes_of_a_training_job_and_replicas_of_a_service_are_replicas() -> None:
    assert the_order(resources={"nodes": 4}).spec.replicas == 4
    assert the_order("inference", service={"replicas": 3}).spec.replicas == 3


def test_a_duration_is_seconds_and_absent_it_is_open() -> None:
    assert the_order(job={"duration": "2h"}).duration_seconds == 7200
    assert the_order().duration_seconds is None


@pytest.mark.parametrize(("given", "retries"), [(None, 3), (0, 0), (7, 7)])
def test_retries_are_three_unless_said(given: int | None, retries: int) -> None:
    assert the_order(job={"retries": given}).spec.retries == retries


def test_values_of_variables_are_hidden_unless_they_may_be_seen() -> None:
    order = the_order(environment={"env": [{"name": "TOKEN", "value": "secret"}]})
    assert "secret" not in str(yaml_content_of(order))
    assert yaml_content_of(order)["environment"] == {
        "image": "pytorch:2",
        "command": [],
        "env": [{"name": "TOKEN", "value": HIDDEN}],
    }


def test_a_hidden_value_is_not_taken_for_the_value() -> None:
    order = the_order(environment={"env": [{"name": "TOKEN", "value": "secret"}]})
    with pytest.raises(InvalidFields, match=r"environment.env\[0\].value: was hidden in an answer"):
        read_job(YamlDocument(yaml_content_of(order)))


def test_the_content_is_spelled_as_in_the_document() -> None:
    order = the_order(
        "notebook",
        job={"namespace": "team-alice"},
        environment={"imagePullSecret": "pull"},
        service={"healthCheck": "/api", "timeout": 30},
        resources={"gpuType": "t4", "cpu": 8, "memory": "32Gi", "gpuShare": "2Gi"},
        storage={"workdirs": [{"path": "/data"}]},
    )
    assert yaml_content_of(order) == {
        "kind": "notebook",
        "version": "v0.1",
        "job": {"name": "train", "namespace": "team-alice", "priority": "medium"},
        "environment": {"image": "pytorch:2", "imagePullSecret": "pull", "command": []},
        "service": {"replicas": 1, "port": 8888, "health-check": "/api", "timeout": "30s"},
        "resources": {
            "pool": "default",
            "gpu": 1,
            "cpu": 8,
            "gpu-type": "t4",
            "memory": "32Gi",
            "gpu-share": "2Gi",
        },
        "storage": {"workdirs": [{"path": "/data"}]},
    }


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
LABEL = st.sampled_from(["a", "7", "batch", "team-a", "1-0", "null", "true", "1e3", "a" * JOB_NAME_LENGTH_MAX])
VARIABLES = st.lists(
    st.builds(EnvironmentVariable, st.sampled_from(["A", "_b", "C.d-e"]), TEXT),
    max_size=3,
    unique_by=lambda variable: variable.name,
)
PATHS = st.lists(st.sampled_from(["/", "/a", "/a/b c", "/...", "/\N{SNOWMAN}"]), max_size=3, unique=True)


@st.composite
def orders(draw: st.DrawFn) -> JobOrder:
    kind = draw(st.sampled_from([kind for kind in JobKind if kind is not JobKind.BOX]))
    listens = kind in SERVICE_KINDS
    spec = JobSpec(
        name=draw(LABEL),
        kind=kind,
        namespace=draw(LABEL),
        image=draw(st.sampled_from(["a", "registry.example:5000/a/b@sha256:0", "8"])),
        command=tuple(draw(st.lists(TEXT, max_size=3))),
        args=tuple(draw(st.lists(TEXT, max_size=3))),
        environment=tuple(draw(VARIABLES)),
        image_pull_secret=draw(st.sampled_from(["", "pull.secret"])),
        replicas=1 if kind is JobKind.NOTEBOOK else draw(st.integers(1, 4096)),
        gpus_per_replica=draw(st.integers(0, 64)),
        cpu=draw(st.sampled_from(["", "8", "500m", "1500m"])),
        memory=draw(st.sampled_from(["", "32Gi", "1.5Ti", "64M"])),
        port=draw(st.integers(1, 65535)) if listens else 0,
        health_check=draw(st.sampled_from(["", "/", "/health?full=1"])) if listens else "",
        host_paths=tuple(draw(PATHS)),
        retries=3 if listens else draw(st.integers(0, 100)),
        description=draw(TEXT),
    )
    options = {"gpu-share": draw(st.sampled_from(["", "2Gi"]))}
    options |= {"timeout": draw(st.sampled_from(["", "30s"]))} if listens else {}
    return JobOrder(
        spec,
        pool=draw(LABEL),
        gpu_type=draw(st.sampled_from(["", "a100-80g", "NVIDIA H100 80GB HBM3"])),
        priority=draw(st.sampled_from([50, 150, 250])),
        duration_seconds=draw(st.none() | st.integers(1, 366 * 24 * 3600)),
        options={name: value for name, value in options.items() if value},
    )


@settings(max_examples=60, deadline=None)
@given(orders())
def test_what_comes_out_can_be_submitted_again(order: JobOrder) -> None:
    content = yaml_content_of(order, show_values=True)
    assert to_domain(read_job(YamlDocument(content))) == order
    assert to_domain(read_job(load_yaml(yaml.safe_dump(content)))) == order
