from __future__ import annotations

import json
from typing import Any

import pytest

from clusters.box_pods import CAPABILITIES, box_name
from clusters.job_manifests import manifests
from clusters.job_pods import JobPlace
from domain.job import EnvironmentVariable, JobKind, JobSpec
from tests.builders_jobs import a_job, a_place

Json = dict[str, Any]


def _box(**more: Any) -> JobSpec:
    return a_job(JobKind.BOX, **{"name": "gpu-dev-1", "image": "box", **more})


def _place(**more: Any) -> JobPlace:
    return a_place(name="gpu-dev-1", **more)


def _pods(spec: JobSpec, place: JobPlace | None = None) -> list[Json]:
    return [one for one in manifests(spec, place or _place()) if one["kind"] == "Pod"]


def _container(spec: JobSpec) -> Json:
    container: Json = _pods(spec)[0]["spec"]["containers"][0]
    return container


def _volumes(pod: Json) -> dict[str, Json]:
    return {volume["name"]: volume for volume in pod["spec"]["volumes"]}


def test_a_box_is_pods_that_nothing_makes_again_behind_what_they_need() -> None:
    kinds = [manifest["kind"] for manifest in manifests(_box(), _place())]
    assert kinds == ["Secret", "NetworkPolicy", "Service", "Pod"]
    (pod,) = _pods(_box())
    assert (pod["metadata"]["name"], pod["spec"]["restartPolicy"]) == ("gpu-dev-1", "Always")


def test_everything_of_a_box_bears_its_jobs_label_but_its_disk_is_only_named() -> None:
    place = _place(volume="berth-disk-1")
    made = manifests(_box(environment=(EnvironmentVariable("A", "b"),)), place)
    assert {one["metadata"]["labels"]["berth.io/job"] for one in made} == {place.job_id}
    assert "PersistentVolumeClaim" not in [one["kind"] for one in made]
    assert _volumes(made[-1])["home"]["persistentVolumeClaim"] == {"claimName": "berth-disk-1"}


def test_a_box_on_several_nodes_has_its_disk_in_the_first_pod_and_names_for_all() -> None:
    place = _place(volume="berth-disk-1")
    made = manifests(_box(replicas=3, gpus_per_replica=8), place)
    pods = [one for one in made if one["kind"] == "Pod"]
    assert [pod["spec"]["hostname"] for pod in pods] == ["gpu-dev-1", "gpu-dev-1-1", "gpu-dev-1-2"]
    assert [sorted(_volumes(pod)["home"]) for pod in pods] == [["name", "persistentVolumeClaim"]] + [
        ["emptyDir", "name"]
    ] * 2
    (headless,) = (one for one in made if one.get("spec", {}).get("clusterIP") == "None")
    assert {pod["spec"]["subdomain"] for pod in pods} == {headless["metadata"]["name"]} == {"gpu-dev-1"}


def test_pods_of_a_box_on_several_nodes_know_where_the_first_is_and_which_they_are() -> None:
    for pod in _pods(_box(replicas=2)):
        told = {one["name"]: one.get("value") or one["valueFrom"] for one in pod["spec"]["containers"][0]["env"]}
        assert (told["MASTER_ADDR"], told["WORLD_SIZE"]) == ("gpu-dev-1.gpu-dev-1", "2")
        assert told["RANK"]["fieldRef"]["fieldPath"] == "metadata.labels['berth.io/box-index']"


@pytest.mark.parametrize(("wanted", "said"), [("arm64", {"kubernetes.io/arch": "arm64"}), ("", None)])
def test_a_box_stands_on_nodes_of_the_architecture_that_it_asks_for(wanted: str, said: object) -> None:
    assert [pod["spec"].get("nodeSelector") for pod in _pods(_box(architecture=wanted))] == [said]


def test_the_ways_in_lead_to_the_first_pod_from_anywhere_and_to_nothing_else() -> None:
    place = _place()
    made = {
        one["kind"]: one
        for one in manifests(_box(replicas=2), place)
        if one["metadata"]["name"] == box_name(place.job_id)
    }
    first = {"berth.io/job": place.job_id, "berth.io/box-index": "0"}
    service, let_in = made["Service"]["spec"], made["NetworkPolicy"]["spec"]
    assert {port["name"]: port["port"] for port in service["ports"]} == {"ssh": 22, "jupyter": 8888}
    assert (service["type"], service["externalTrafficPolicy"], service["selector"]) == ("NodePort", "Local", first)
    assert let_in["podSelector"]["matchLabels"] == first
    assert let_in["ingress"] == [{"ports": [{"port": 22}, {"port": 8888}]}]
    assert [first.items() <= pod["metadata"]["labels"].items() for pod in _pods(_box(replicas=2), place)] == [
        True,
        False,
    ]


def test_the_secret_holds_the_program_and_no_orders_yet() -> None:
    secret = manifests(_box(), _place())[0]
    assert list(secret["stringData"]) == ["berth-box"]
    assert secret["stringData"]["berth-box"].startswith("#!/bin/sh")
    (pod,) = _pods(_box())
    assert _volumes(pod)["orders"]["secret"]["defaultMode"] == 0o400


def test_the_command_is_one_line_for_the_program_and_its_variables_are_secret() -> None:
    spec = _box(command=("sh", "-c"), args=("echo 'a b' $KEY",), environment=(EnvironmentVariable("KEY", "s3cret"),))
    assert _container(spec)["args"] == ["""sh -c 'echo '"'"'a b'"'"' $KEY'"""]
    made = manifests(spec, _place())
    assert [one["kind"] for one in made if "s3cret" in json.dumps(one)] == ["Secret"]


def test_a_box_without_a_command_has_the_program_alone() -> None:
    container = _container(_box())
    assert (container["command"], container["args"]) == (["/bin/sh", "/run/berth/berth-box"], [])


@pytest.mark.parametrize(("line", "args"), [((), None), (("serve", "--fast"), ["serve", "--fast"])])
def test_an_image_that_keeps_its_entrypoint_is_left_alone(line: tuple[str, ...], args: list[str] | None) -> None:
    container = _container(_box(keeps_entrypoint=True, command=line))
    assert not {"command", "startupProbe", "securityContext"} & container.keys()
    assert container.get("args") == args


def test_root_in_a_box_has_no_more_than_its_program_needs() -> None:
    context = _container(_box())["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": list(CAPABILITIES)}
    assert _pods(_box())[0]["spec"]["automountServiceAccountToken"] is False


def test_each_pod_of_a_box_says_how_many_there_are_to_be() -> None:
    assert [pod["metadata"]["annotations"] for pod in _pods(_box(replicas=2))] == [{"berth.io/replicas": "2"}] * 2


def test_a_box_asks_for_the_gpus_and_tokens_of_its_lease_in_each_pod() -> None:
    for pod in _pods(_box(replicas=2, gpus_per_replica=4), _place(fence=7)):
        limits = pod["spec"]["containers"][0]["resources"]["limits"]
        assert limits == {"nvidia.com/gpu": "4", "lease-7.berth.io/gpu": "4"}
