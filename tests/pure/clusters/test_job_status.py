from __future__ import annotations

from typing import Any

import pytest

from clusters.job_pod_status import node_in_question, observed_pod
from clusters.job_status import JobEvidence, observed_job
from domain.job import JobState, ObservedJob
from tests.builders_jobs import a_pod_of_it, a_workload, failed, waiting

Json = dict[str, Any]

TWO: Json = {"parallelism": 2, "backoffLimit": 3}
REPLICAS: Json = {"replicas": 2}
SLOW: Json = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "too slow"}


def _going(name: str = "it-0") -> Json:
    return a_pod_of_it(name, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})


def _unplaced(message: str = "0/3 nodes are available") -> Json:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    pod = a_pod_of_it(phase="Pending", ready=False, state={}, status={"conditions": [condition]})
    pod["spec"] = {}
    return pod


def _both() -> list[Json]:
    return [a_pod_of_it("it-0"), a_pod_of_it("it-1")]


def _seen(workload: Json | None, *pods: Json, **lost: str) -> ObservedJob:
    return observed_job(
        JobEvidence(workload, pods, lost_nodes={name.replace("_", "-"): why for name, why in lost.items()})
    )


def _said(seen: ObservedJob) -> tuple[JobState, str]:
    return seen.state, seen.reason


def _ended(kind: str, reason: str = "") -> Json:
    return a_workload(TWO, conditions=[{"type": kind, "reason": reason, "message": "it ended"}], failed=4)


CRASHING = waiting("CrashLoopBackOff", was={"lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137}}})

TRAINING: dict[str, tuple[Json, list[Json], JobState, str]] = {
    "no pod yet": (a_workload(TWO), [], JobState.PENDING, ""),
    "both run": (a_workload(TWO), _both(), JobState.RUNNING, ""),
    "one runs, one has its image to come": (
        a_workload(TWO),
        [a_pod_of_it("it-1"), waiting("ContainerCreating")],
        JobState.PENDING,
        "ContainerCreating",
    ),
    "one is done, one runs": (
        a_workload(TWO, succeeded=1),
        [a_pod_of_it("it-0", phase="Succeeded", ready=False), a_pod_of_it("it-1")],
        JobState.RUNNING,
        "",
    ),
    "no image": (a_workload(TWO), [waiting("ImagePullBackOff")], JobState.PENDING, "ImagePullBackOff"),
    "a wrong image": (a_workload(TWO), [waiting("ErrImagePull")], JobState.PENDING, "ErrImagePull"),
    "a secret that is not there": (
        a_workload(TWO),
        [waiting("CreateContainerConfigError")],
        JobState.PENDING,
        "CreateContainerConfigError",
    ),
    "no room": (a_workload(TWO), [_unplaced()], JobState.PENDING, "Unschedulable"),
    "the image tells more than the room": (
        a_workload(TWO),
        [_unplaced(), waiting("ErrImagePull", metadata={"name": "it-1"})],
        JobState.PENDING,
        "ErrImagePull",
    ),
    "one failed pod of a job that tries again": (
        a_workload(TWO, failed=1),
        [failed("OOMKilled", 137), a_pod_of_it("it-1")],
        JobState.PENDING,
        "OOMKilled",
    ),
    "replaced after a failure": (
        a_workload(TWO, failed=1),
        [failed(name="it-9"), *_both()],
        JobState.RUNNING,
        "",
    ),
    "complete": (_ended("Complete"), [], JobState.SUCCEEDED, ""),
    "as good as complete": (_ended("SuccessCriteriaMet"), [_going()], JobState.SUCCEEDED, ""),
    "too many failures": (
        _ended("Failed", "BackoffLimitExceeded"),
        [failed()],
        JobState.FAILED,
        "BackoffLimitExceeded: Error",
    ),
    "too many failures, the last of another sort": (
        _ended("Failed", "BackoffLimitExceeded"),
        [failed(name="it-0"), failed("OOMKilled", 137, name="it-1")],
        JobState.FAILED,
        "BackoffLimitExceeded: OOMKilled",
    ),
    "too many failures of pods that are gone": (
        _ended("Failed", "BackoffLimitExceeded"),
        [],
        JobState.FAILED,
        "BackoffLimitExceeded",
    ),
    "too late, after a failure": (
        _ended("Failed", "DeadlineExceeded"),
        [failed()],
        JobState.FAILED,
        "DeadlineExceeded",
    ),
    "too late": (_ended("Failed", "DeadlineExceeded"), [], JobState.FAILED, "DeadlineExceeded"),
    "as good as failed": (_ended("FailureTarget", "PodFailurePolicy"), [_going()], JobState.FAILED, "PodFailurePolicy"),
    "suspended": (a_workload({**TWO, "suspend": True}), [], JobState.SUSPENDED, ""),
    "evicted and replaced by a pod that is still made": (
        a_workload(TWO),
        [_going(), a_pod_of_it("it-1"), waiting("ContainerCreating", metadata={"name": "it-2"})],
        JobState.PENDING,
        "ContainerCreating",
    ),
}


@pytest.mark.parametrize("case", TRAINING)
def test_a_job_that_runs_to_its_end(case: str) -> None:
    workload, pods, state, reason = TRAINING[case]
    assert _said(_seen(workload, *pods)) == (state, reason)


SERVING: dict[str, tuple[Json, list[Json], JobState, str]] = {
    "no pod yet": (a_workload(REPLICAS), [], JobState.PENDING, ""),
    "starting": (a_workload(REPLICAS), [waiting("ContainerCreating")], JobState.PENDING, "ContainerCreating"),
    "running, not healthy yet": (
        a_workload(REPLICAS),
        [a_pod_of_it(ready=False)],
        JobState.PENDING,
        "ContainersNotReady",
    ),
    "both serve": (a_workload(REPLICAS), _both(), JobState.RUNNING, ""),
    "one of two serves": (
        a_workload(REPLICAS),
        [a_pod_of_it("it-1"), CRASHING],
        JobState.DEGRADED,
        "CrashLoopBackOff",
    ),
    "none serves": (a_workload(REPLICAS), [CRASHING], JobState.PENDING, "CrashLoopBackOff"),
    "never served in time": (
        a_workload(REPLICAS, conditions=[SLOW]),
        [waiting("ImagePullBackOff")],
        JobState.FAILED,
        "ProgressDeadlineExceeded",
    ),
    "late, but one serves": (
        a_workload(REPLICAS, conditions=[SLOW]),
        [a_pod_of_it("it-1"), waiting("ImagePullBackOff")],
        JobState.DEGRADED,
        "ImagePullBackOff",
    ),
    "pods that are refused": (
        a_workload(REPLICAS, conditions=[{"type": "ReplicaFailure", "reason": "FailedCreate", "message": "no"}]),
        [],
        JobState.PENDING,
        "FailedCreate",
    ),
    "suspended": (a_workload({"replicas": 0}), [], JobState.SUSPENDED, ""),
    "an evicted pod is not a replica": (
        a_workload(REPLICAS),
        [a_pod_of_it("it-9", phase="Failed", ready=False, status={"reason": "Evicted"}), *_both()],
        JobState.RUNNING,
        "",
    ),
    "a replica that is going does not serve": (
        a_workload(REPLICAS),
        [_going(), a_pod_of_it("it-1")],
        JobState.DEGRADED,
        "Terminating",
    ),
}


@pytest.mark.parametrize("case", SERVING)
def test_a_job_that_serves(case: str) -> None:
    workload, pods, state, reason = SERVING[case]
    assert _said(_seen(workload, *pods)) == (state, reason)


@pytest.mark.parametrize("spec", [TWO, REPLICAS])
def test_pods_on_a_node_that_does_not_answer_are_not_known_to_run(spec: Json) -> None:
    seen = _seen(a_workload(spec), *_both(), gpu_1="no report from the node")
    assert _said(seen) == (JobState.UNKNOWN, "NodeLost")
    assert seen.message == "node gpu-1: no report from the node"
    assert seen.ready == 0


def test_a_service_with_one_replica_on_a_lost_node_is_degraded() -> None:
    far = a_pod_of_it("it-1")
    far["spec"]["nodeName"] = "gpu-2"
    assert _said(_seen(a_workload(REPLICAS), a_pod_of_it("it-0"), far, gpu_2="power")) == (
        JobState.DEGRADED,
        "NodeLost",
    )


@pytest.mark.parametrize("spec", [TWO, REPLICAS])
def test_a_job_that_is_being_deleted_is_terminating_until_its_last_pod_is_gone(spec: Json) -> None:
    going = a_workload(spec)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _seen(going, *_both()).state is JobState.TERMINATING
    assert _seen(None, _going()).message == "1 pods have not gone yet"


def _of_box(pod: Json, index: int = 0, of: int = 2) -> Json:
    about = {"namespace": "dev-ada", "annotations": {"berth.io/replicas": str(of)}, "labels": {"index": str(index)}}
    return {**pod, "metadata": {**pod["metadata"], "name": f"it-{index}", **about}}


BOX: dict[str, tuple[list[Json], JobState, str]] = {
    "both are ready": ([a_pod_of_it(), a_pod_of_it()], JobState.RUNNING, ""),
    "one is ready, one starts": ([a_pod_of_it(), waiting("ContainerCreating")], JobState.PENDING, "ContainerCreating"),
    "one is ready, one waits for sshd": (
        [a_pod_of_it(), a_pod_of_it(ready=False)],
        JobState.PENDING,
        "ContainersNotReady",
    ),
    "one waits for its disk": ([_unplaced("its claim is not bound")], JobState.PENDING, "Unschedulable"),
    "no image": ([waiting("ErrImagePull"), waiting("ErrImagePull")], JobState.PENDING, "ErrImagePull"),
    "one is ready, one crashes": ([a_pod_of_it(), CRASHING], JobState.DEGRADED, "CrashLoopBackOff"),
    "one was taken away": ([a_pod_of_it()], JobState.DEGRADED, "PodMissing"),
    "one was evicted": (
        [a_pod_of_it(), a_pod_of_it(phase="Failed", ready=False, status={"reason": "Evicted"})],
        JobState.FAILED,
        "Evicted",
    ),
    "one ended without a word": ([a_pod_of_it(), a_pod_of_it(phase="Succeeded")], JobState.FAILED, "Succeeded"),
    "one goes": ([a_pod_of_it(), _going()], JobState.DEGRADED, "Terminating"),
    "both go": ([_going(), _going()], JobState.TERMINATING, ""),
    "both go, and one has ended": (
        [_going(), {**_going(), "status": {"phase": "Succeeded"}}],
        JobState.TERMINATING,
        "",
    ),
}


@pytest.mark.parametrize("case", BOX)
def test_a_box_is_its_pods(case: str) -> None:
    pods, state, reason = BOX[case]
    seen = _seen(None, *(_of_box(pod, index) for index, pod in enumerate(pods)))
    assert (seen.wanted, *_said(seen)) == (2, state, reason)


def test_a_box_on_a_node_that_does_not_answer_is_not_known_to_run() -> None:
    seen = _seen(None, _of_box(a_pod_of_it(), of=1), gpu_1="no report from the node")
    assert _said(seen) == (JobState.UNKNOWN, "NodeLost")


def test_a_box_is_reached_by_its_first_pods_node_and_the_ports_there_that_lead_to_it() -> None:
    ports = [{"name": "ssh", "port": 22, "nodePort": 30_022}, {"name": "jupyter", "port": 8888, "nodePort": 30_088}]
    service = {"spec": {"selector": {"index": "0"}, "ports": ports}}
    headless: Json = {"spec": {"clusterIP": "None", "selector": {}}}
    pods = [_of_box(a_pod_of_it(status={"hostIP": f"10.0.0.{index}"}), index) for index in range(2)]
    seen = observed_job(JobEvidence(None, pods, [headless, service]))
    assert [pod.node_ports for pod in seen.pods] == [{"ssh": 30_022, "jupyter": 30_088}, {}]
    assert seen.entrance
    assert (seen.entrance.name, seen.entrance.node_address) == ("it-0", "10.0.0.0")


def test_what_has_no_pod_yet_is_not_reached() -> None:
    assert _seen(a_workload(REPLICAS)).entrance is None


def test_a_failure_tells_what_the_last_pod_died_of() -> None:
    seen = _seen(_ended("Failed", "BackoffLimitExceeded"), failed("OOMKilled", 137))
    assert seen.message == "it ended; pod it-0: OOMKilled; exit code 137"


def test_a_crash_loop_tells_how_the_container_ended() -> None:
    assert "ended before with OOMKilled, exit code 137" in _seen(a_workload(REPLICAS), CRASHING).message


def test_a_retry_tells_how_many_more_there_are() -> None:
    message = _seen(a_workload(TWO, failed=2), failed(code=3)).message
    assert (
        message == "it is tried again; pod it-0: Error; exit code 3; failed pods so far: 2 (it fails with more than 3)"
    )


def test_a_suspended_service_still_wants_what_it_had() -> None:
    workload = a_workload({"replicas": 0})
    workload["metadata"]["annotations"] = {"berth.io/replicas": "4"}
    assert _seen(workload).wanted == 4


def test_the_port_is_the_one_that_the_cluster_chose() -> None:
    service = {"spec": {"ports": [{"port": 80, "nodePort": 30_123}]}}
    assert observed_job(JobEvidence(a_workload(REPLICAS), (), [service])).service_node_port == 30_123


def test_a_pod_tells_its_place_times_and_restarts() -> None:
    state = {"terminated": {"exitCode": 0, "startedAt": "2026-01-01T00:00:01Z", "finishedAt": "2026-01-01T00:00:09Z"}}
    pod = a_pod_of_it(
        phase="Succeeded", ready=False, state=state, was={"restartCount": 2}, status={"podIP": "10.0.0.1"}
    )
    seen = observed_pod(pod)
    assert (seen.node, seen.ip, seen.restarts, seen.reason) == ("gpu-1", "10.0.0.1", 2, "")
    assert seen.started_at
    assert seen.finished_at
    assert (seen.finished_at - seen.started_at).total_seconds() == 8


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (
            a_pod_of_it(phase="Failed", ready=False, status={"reason": "UnexpectedAdmissionError"}),
            "UnexpectedAdmissionError",
        ),
        (waiting("CreateContainerError"), "CreateContainerError"),
        (waiting("PodInitializing"), "ContainerCreating"),
        (failed("ContainerCannotRun", 127), "ContainerCannotRun"),
        (_going(), "Terminating"),
        (a_pod_of_it(), ""),
    ],
)
def test_a_pod_has_the_clusters_own_word_for_its_reason(pod: Json, reason: str) -> None:
    assert observed_pod(pod).reason == reason


def test_an_init_container_that_fails_is_the_reason() -> None:
    ended = {"state": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    pod = waiting("PodInitializing", status={"initContainerStatuses": [ended]})
    assert (observed_pod(pod).reason, observed_pod(pod).message) == ("Error", "exit code 2")


def test_only_pods_that_have_a_node_and_are_not_over_hang_on_its_word() -> None:
    assert node_in_question(a_pod_of_it()) == "gpu-1"
    assert [node_in_question(pod) for pod in (_unplaced(), failed())] == ["", ""]
