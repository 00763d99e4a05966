from __future__ import annotations

import json
from typing import Any

import pytest

from clusters.job_manifests import manifests
from clusters.job_pods import JobPlace
from domain.failures import InvalidRequest
from domain.identifiers import is_lease_token, lease_token_key, token_key
from domain.job import EnvironmentVariable, JobKind, JobSpec
from tests.builders_jobs import a_job, a_place

Json = dict[str, Any]

KINDS = {
    JobKind.TRAINING: ["Job"],
    JobKind.INFERENCE: ["Service", "Deployment"],
    JobKind.NOTEBOOK: ["Service", "StatefulSet"],
    JobKind.COMPUTE: ["Service", "Deployment"],
}


def _made(spec: JobSpec, place: JobPlace | None = None) -> dict[str, Json]:
    return {manifest["kind"]: manifest for manifest in manifests(spec, place or a_place())}


def _workload(spec: JobSpec, place: JobPlace | None = None) -> Json:
    return manifests(spec, place or a_place())[-1]


def _pod(spec: JobSpec, place: JobPlace | None = None) -> Json:
    pod: Json = _workload(spec, place)["spec"]["template"]["spec"]
    return pod


def _container(spec: JobSpec, place: JobPlace | None = None) -> Json:
    container: Json = _pod(spec, place)["containers"][0]
    return container


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_made_of_its_objects_with_the_workload_last(kind: JobKind) -> None:
    assert [manifest["kind"] for manifest in manifests(a_job(kind, port=8080), a_place())] == KINDS[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_and_every_pod_says_whose_it_is(kind: JobKind) -> None:
    place = a_place(pool="red", priority="high")
    variables = (EnvironmentVariable("A", "b"),)
    made = manifests(a_job(kind, port=80, environment=variables, host_paths=("/data",)), place)
    labelled = [*(manifest["metadata"] for manifest in made), made[-1]["spec"]["template"]["metadata"]]
    wanted = {
        "app.kubernetes.io/managed-by": "berth",
        "berth.io/job": place.job_id,
        "berth.io/lease": str(place.fence),
        "runwhere.ai/job-type": kind.value,
        "runwhere.ai/name": "it",
        "runwhere.ai/namespace": "alpha-0",
        "runwhere.ai/pool": "red",
        "runwhere.ai/priority": "high",
    }
    assert [one["labels"] for one in labelled] == [wanted] * len(labelled)


def test_a_training_job_is_indexed_replaces_one_pod_by_one_and_ignores_disruptions() -> None:
    spec = _workload(a_job(replicas=3, retries=5), a_place(deadline_seconds=3600))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["podReplacementPolicy"], spec["backoffLimit"], spec["activeDeadlineSeconds"]) == ("Failed", 5, 3600)
    assert spec["podFailurePolicy"]["rules"][0]["action"] == "Ignore"
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "ttlSecondsAfterFinished" not in spec


def test_replicas_of_a_training_job_find_each_other() -> None:
    place = a_place()
    made = _made(a_job(replicas=2), place)
    assert made["Service"]["spec"]["clusterIP"] == "None"
    assert made["Service"]["spec"]["selector"] == {"berth.io/job": place.job_id}
    pod = made["Job"]["spec"]["template"]["spec"]
    assert pod["subdomain"] == made["Service"]["metadata"]["name"] == "it"
    told = {variable["name"]: variable.get("value") for variable in pod["containers"][0]["env"]}
    assert told == {"MASTER_ADDR": "it-0.it", "MASTER_PORT": "29500", "WORLD_SIZE": "2", "RANK": None}


def test_a_single_replica_needs_nobody() -> None:
    assert "env" not in _container(a_job())
    assert "subdomain" not in _pod(a_job())


def test_a_jobs_own_variables_go_before_berths() -> None:
    spec = a_job(replicas=2, environment=(EnvironmentVariable("MASTER_PORT", "1234"),))
    assert "MASTER_PORT" not in [variable["name"] for variable in _container(spec)["env"]]


def test_values_of_variables_stand_in_the_secret_alone() -> None:
    spec = a_job(replicas=2, environment=(EnvironmentVariable("KEY", "s3cret"),))
    made = manifests(spec, a_place())
    assert [one["kind"] for one in made if "s3cret" in json.dumps(one)] == ["Secret"]
    assert made[0]["stringData"] == {"KEY": "s3cret"}
    (source,) = made[-1]["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert source["secretRef"]["name"] == made[0]["metadata"]["name"]


@pytest.mark.parametrize(("names", "says"), [(("NVIDIA_VISIBLE_DEVICES",), "may not be set"), (("A", "A"), "twice")])
def test_variables_that_may_not_be_are_refused(names: tuple[str, ...], says: str) -> None:
    spec = a_job(environment=tuple(EnvironmentVariable(name, "x") for name in names))
    with pytest.raises(InvalidRequest, match=says):
        manifests(spec, a_place())


def test_gpus_are_asked_for_with_as_many_of_the_leases_own_tokens() -> None:
    place = a_place(fence=7)
    limits = _container(a_job(gpus_per_replica=4, cpu="8", memory="64Gi"), place)["resources"]["limits"]
    assert limits == {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "4", "lease-7.berth.io/gpu": "4"}


def test_a_job_without_gpus_asks_for_neither_and_stands_anywhere() -> None:
    place = a_place(fence=None)
    pod = _pod(a_job(), place)
    assert pod["containers"][0]["resources"]["limits"] == {}
    assert "affinity" not in pod
    assert "berth.io/lease" not in _workload(a_job(), place)["metadata"]["labels"]


def test_pods_stand_on_the_leased_nodes_only() -> None:
    terms = _pod(a_job(), a_place(nodes=("n1", "n2")))["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ]["nodeSelectorTerms"]
    assert [term["matchFields"][0]["values"] for term in terms] == [["n1"], ["n2"]]


def test_what_serves_has_no_spare_replica_and_a_port_that_the_cluster_chooses() -> None:
    made = _made(a_job(JobKind.INFERENCE, replicas=3, port=8000, health_check="/healthz"))
    assert made["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert made["Deployment"]["spec"]["replicas"] == 3
    assert made["Service"]["metadata"]["name"] == "svc-it"
    assert made["Service"]["spec"]["ports"] == [{"name": "main", "port": 8000, "targetPort": 8000}]
    container = made["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": 8000}


def test_without_a_health_check_a_replica_is_healthy_when_it_runs() -> None:
    assert "readinessProbe" not in _container(a_job(JobKind.COMPUTE, port=80))


def test_a_notebook_is_one_pod_with_a_stable_name_whatever_was_asked() -> None:
    made = _made(a_job(JobKind.NOTEBOOK, port=8888, replicas=4))
    assert made["StatefulSet"]["spec"]["replicas"] == 1
    assert made["StatefulSet"]["spec"]["serviceName"] == made["Service"]["metadata"]["name"]


def test_what_does_not_listen_has_no_service() -> None:
    assert list(_made(a_job(JobKind.COMPUTE))) == ["Deployment"]


def test_a_host_path_is_a_volume_of_its_own_that_outlives_nothing_but_the_folder() -> None:
    made = _made(a_job(host_paths=("/data/sets",)))
    volume, claim = made["PersistentVolume"], made["PersistentVolumeClaim"]
    assert volume["spec"]["hostPath"] == {"path": "/data/sets", "type": "DirectoryOrCreate"}
    assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert volume["spec"]["claimRef"] == {"namespace": "alpha-0", "name": claim["metadata"]["name"]}
    assert "namespace" not in volume["metadata"]
    pod = made["Job"]["spec"]["template"]["spec"]
    assert pod["volumes"][0]["persistentVolumeClaim"] == {"claimName": claim["metadata"]["name"]}
    assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/data/sets"


def test_an_image_pull_secret_and_a_priority_are_passed_on() -> None:
    pod = _pod(a_job(image_pull_secret="mine"), a_place(priority="low"))
    assert (pod["imagePullSecrets"], pod["priorityClassName"]) == ([{"name": "mine"}], "berth-low")


def test_a_leases_token_is_told_from_every_workspaces() -> None:
    assert is_lease_token(lease_token_key(123_456_789))
    assert not is_lease_token(token_key("lease-0123456789"))
    assert not is_lease_token(token_key("alpha-0123456789"))
