"""Boxes on a real kubelet with real sshd and Jupyter: people come in, or do not; what is told arrives; what is on a disk stays."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.stack import box_image, node_requirements
from cli.stack.box_image import BOX
from cli.stack.real_node import BUSYBOX, RealNode, running_real_node
from cli.stack.testing import running_cluster
from clusters.box_pods import CAPABILITIES
from clusters.boxes import list_files
from clusters.connection import ClusterConnection
from clusters.disks import make_volume
from clusters.registration import install
from domain.box import GRACE_SECONDS, HOME
from domain.disk import VolumeOrder, volume_name
from domain.job import EnvironmentVariable, JobKind, JobState
from domain.workspace import Tenancy
from tests.activities.clusters.job_kit import make_job
from tests.builders_clusters import a_tenancy, eventually, make_tenancy
from tests.builders_jobs import a_job
from tests.system.answered_boxes import AnsweredBox, end_in, known_to_github, page_at, pods_of
from tests.system.freedom import left_in_ledger, left_on_nodes, until
from tests.system.gpudev import GpuDev, logged_in
from tests.system.installation import Installation, running_installation
from tests.system.real_boxes import SECONDS_MAX, TOLD_SECONDS_MAX, Person, RealBox, a_terminal, mounts_of, settled
from tests.system.stand_ins import folders_for_claims, leading_node_ports

pytestmark = pytest.mark.timeout(300)

NewBox = Callable[..., RealBox]
NODE = "real-1"
CAPABILITY_BITS = {
    "CHOWN": 0,
    "DAC_OVERRIDE": 1,
    "KILL": 5,
    "SETGID": 6,
    "SETUID": 7,
    "NET_BIND_SERVICE": 10,
    "SYS_CHROOT": 18,
    "AUDIT_WRITE": 29,
}


@pytest.fixture(scope="module")
def node() -> Iterator[RealNode]:
    if lack := node_requirements.lack() or box_image.lack() or ("" if shutil.which("ssh") else "there is no ssh here"):
        pytest.skip(lack)
    try:
        image = box_image.archive()
    except box_image.Unreachable as trouble:
        pytest.skip(trouble.message)
    with running_cluster([]) as cluster, running_real_node(cluster) as running:
        running.programs.import_image(image)
        yield running


@pytest.fixture(scope="module")
def real_cluster(node: RealNode) -> Iterator[ClusterConnection]:
    connection = ClusterConnection.from_kubeconfig(node.cluster.name, node.cluster.kubeconfig_path)
    install(connection)
    with leading_node_ports(connection):
        yield connection
    connection.close()


@pytest.fixture
def storage(real_cluster: ClusterConnection, tmp_path: Path) -> Iterator[str]:
    with folders_for_claims(real_cluster, tmp_path / "disks") as storage_class:
        yield storage_class


@pytest.fixture(scope="module")
def tenancy(real_cluster: ClusterConnection) -> Tenancy:
    made = a_tenancy()
    make_tenancy(real_cluster, made)
    return made


@pytest.fixture
def new_box(real_cluster: ClusterConnection, node: RealNode, tenancy: Tenancy) -> Iterator[NewBox]:
    made: list[RealBox] = []

    def make(*keys: str, place: dict[str, Any] | None = None, **more: Any) -> RealBox:
        spec = a_job(JobKind.BOX, **{"image": BOX, "gpus_per_replica": 1, **more})
        name = f"gpu-dev-{uuid4().hex[:8]}"
        box = RealBox(make_job(real_cluster, tenancy, spec, NODE, name=name, **(place or {})), node)
        made.append(box)
        box.tell(keys=keys)
        return box

    yield make
    for box in made:
        box.ends()


@pytest.fixture
def ada(tmp_path: Path) -> Person:
    return Person.with_a_key("ada", tmp_path)


@pytest.fixture
def grace(tmp_path: Path) -> Person:
    return Person.with_a_key("grace", tmp_path)


@pytest.fixture
def disk(real_cluster: ClusterConnection, tenancy: Tenancy, storage: str) -> dict[str, Any]:
    """A disk that no box has used yet, as the place of a box names it."""
    disk_id = uuid4()
    order = VolumeOrder(disk_id, "thesis", volume_name(disk_id, 1), 10, restore_from="", is_new=True)
    make_volume(real_cluster, order, namespace=tenancy.namespaces[0], storage_class=storage)
    return {"volume": order.volume}


# --- who comes in -----------------------------------------------------------------------------------------------------


def test_its_owner_comes_in_by_the_command_that_is_answered_and_finds_a_gpu_and_its_variables(
    new_box: NewBox, ada: Person
) -> None:
    variables = (EnvironmentVariable("KEY", 'a "quoted" value'),)
    box = new_box(ada.public_key, environment=variables)
    assert box.comes_up()
    assert box.lets_in(ada)
    assert box.run(ada, "id -un; pwd; echo $KEY").splitlines() == ["dev", HOME, 'a "quoted" value']
    assert box.run(ada, "echo $NVIDIA_VISIBLE_DEVICES").startswith("GPU-")
    assert box.run(ada, "bash -lc 'command -v jupyter-lab'") == "/opt/venv/bin/jupyter-lab"


def test_nobody_else_comes_in_and_nobody_as_root(new_box: NewBox, ada: Person, grace: Person) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.lets_in(ada)
    for person, command in ((grace, box.ssh_command), (ada, box.ssh_command.replace("dev@", "root@"))):
        refused = box.tries(person, ssh=command)
        assert refused.returncode == 255
        assert "Permission denied (publickey)" in refused.stderr


def test_who_is_let_in_comes_in_within_seconds_and_who_is_not_any_more_does_not(
    new_box: NewBox, ada: Person, grace: Person
) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.lets_in(ada)
    box.tell(keys=(ada.public_key, grace.public_key))
    assert box.lets_in(grace)
    box.tell(keys=(grace.public_key,))
    assert eventually(lambda: box.tries(ada).returncode == 255, TOLD_SECONDS_MAX)


def test_a_key_that_somebody_left_in_the_home_opens_nothing(new_box: NewBox, ada: Person, grace: Person) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.lets_in(ada)
    box.run(ada, f"mkdir -m 700 .ssh; echo '{grace.public_key}' > .ssh/authorized_keys; chmod 600 .ssh/authorized_keys")
    assert box.tries(grace).returncode == 255


def test_a_box_has_no_more_rights_than_it_needs_and_its_people_have_none(new_box: NewBox, ada: Person) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.lets_in(ada)
    rights = dict(line.split() for line in box.run(ada, "grep ^Cap /proc/self/status").splitlines())
    assert int(rights["CapBnd:"], 16) == sum(1 << CAPABILITY_BITS[name] for name in CAPABILITIES)
    assert int(rights["CapEff:"], 16) == 0
    assert box.run(ada, "cat /run/berth/authorized_keys 2>&1 || true").endswith("Permission denied")
    assert box.run(ada, "ls /var/run/secrets/kubernetes.io 2>&1 || true").endswith("No such file or directory")


# --- what it is told --------------------------------------------------------------------------------------------------


def test_jupyter_answers_whoever_has_the_token_while_it_is_wanted(new_box: NewBox, ada: Person) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.jupyter("/api") == (0, {})
    box.tell(token="t0ken-of-the-box")
    assert eventually(lambda: box.jupyter("/api/status", "t0ken-of-the-box")[0] == 200, SECONDS_MAX)
    assert box.jupyter("/api/contents", "t0ken-of-the-box")[1]["type"] == "directory"
    assert box.jupyter("/api/status")[0] == box.jupyter("/api/status", "another")[0] == 403
    seen = box.run(ada, "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2> /dev/null | tr '\\0' '\\n'; ls -a ~")
    assert "jupyter-lab" in seen
    assert "t0ken" not in seen + box.log
    box.tell(token="")
    assert eventually(lambda: box.jupyter("/api") == (0, {}), TOLD_SECONDS_MAX)


def test_a_notice_appears_once_in_each_open_terminal_and_stays_in_a_file(new_box: NewBox, ada: Person) -> None:
    box = new_box(ada.public_key)
    assert box.comes_up()
    assert box.lets_in(ada)
    with a_terminal(box, ada) as one, a_terminal(box, ada) as two:
        box.tell(notices=("30 minutes are left",))
        assert one.shows("*** Berth: 30 minutes are left")
        assert two.shows("*** Berth: 30 minutes are left")
        box.tell(notices=("30 minutes are left", "15 minutes are left"))
        assert one.shows("*** Berth: 15 minutes are left")
        settled()
        assert one.look().count("30 minutes are left") == two.look().count("30 minutes are left") == 1
    said = box.run(ada, "cat BERTH-NOTICES.txt").splitlines()
    assert [line.partition("UTC ")[2] for line in said] == ["30 minutes are left", "15 minutes are left"]
    with a_terminal(box, ada) as late:
        assert "15 minutes are left" in late.shown


# --- what stays, and what does not ------------------------------------------------------------------------------------


def test_a_disk_keeps_files_and_the_hosts_key_for_the_next_box_and_the_command_could_save(
    new_box: NewBox, disk: dict[str, Any], ada: Person, node: RealNode
) -> None:
    saves = "trap 'sleep 1; echo saved; exit' TERM; echo begun; while :; do sleep 0.1; done"
    first = new_box(ada.public_key, place=disk, command=("/bin/bash", "-c", saves))
    assert first.comes_up()
    assert first.lets_in(ada)
    first.run(ada, "echo chapter > thesis.txt; ssh-keygen -q -t ed25519 -N '' -f own-key")
    assert eventually(lambda: "begun" in first.run(ada, "cat command.log"))
    listing = list_files(first.job.connection, first.job.namespace, first.entrance.name, HOME, 10)
    assert "./thesis.txt" in listing
    assert "host-keys" not in listing
    uid = first.uid
    assert first.ends()
    assert node.processes_of(uid) == set()
    assert mounts_of(node, uid) == []
    second = new_box(ada.public_key, place=disk)
    assert second.comes_up()
    assert second.lets_in(ada)  # with the host's key that was accepted the first time
    assert second.run(ada, "cat thesis.txt; stat -c %U own-key").splitlines() == ["chapter", "dev"]
    assert "saved" in second.run(ada, "cat command.log")


def test_a_box_whose_container_died_comes_back_as_the_same_box(new_box: NewBox, ada: Person) -> None:
    box = new_box(ada.public_key, command=("sh", "-c", "echo ran"))
    assert box.comes_up()
    assert box.lets_in(ada)
    box.tell(notices=("soon",))
    assert eventually(lambda: box.run(ada, "cat BERTH-NOTICES.txt || true") != "", TOLD_SECONDS_MAX)
    box.crash()
    assert eventually(lambda: box.job.seen.pods[0].restarts == 1, SECONDS_MAX)
    assert box.comes_up()
    assert box.lets_in(ada)
    assert box.run(ada, "cat BERTH-NOTICES.txt | wc -l; grep -c ran command.log").splitlines() == ["1", "1"]


# --- other images -----------------------------------------------------------------------------------------------------


def test_an_image_that_gets_no_sshd_is_the_reason_in_words(new_box: NewBox) -> None:
    box = new_box(image=BUSYBOX)
    assert eventually(lambda: "use an image that has openssh-server" in box.job.seen.message, SECONDS_MAX)
    assert box.job.seen.state is JobState.PENDING


def test_an_image_that_keeps_its_entrypoint_runs_what_it_runs(new_box: NewBox) -> None:
    box = new_box(image=BUSYBOX, keeps_entrypoint=True, command=("sh", "-c", "trap exit TERM; sleep 600 & wait"))
    assert box.comes_up()


# --- the whole of it --------------------------------------------------------------------------------------------------


@pytest.fixture
def whole(
    real_cluster: ClusterConnection, node: RealNode, storage: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Installation]:
    """API, workers, Temporal and PostgreSQL on the cluster of the real node."""
    monkeypatch.setenv("BERTH_BOX_IMAGE", BOX)
    monkeypatch.setenv("BERTH_STORAGE_CLASS", storage)
    with running_installation({real_cluster.name: node.cluster.kubeconfig_path}) as running:
        yield running


@pytest.fixture
def user(whole: Installation) -> Iterator[GpuDev]:
    logged = logged_in(whole.url, "ada")
    yield logged
    logged.close()


@pytest.mark.timeout(600)
def test_a_box_of_the_api_is_entered_as_it_answers_warns_ends_in_time_and_leaves_the_next_one_its_disk(
    whole: Installation, user: GpuDev, node: RealNode, tmp_path: Path
) -> None:
    """The disk's files wait in its volume, a folder of this machine: no driver here could copy them."""
    ada = known_to_github("ada", tmp_path)
    wish = {"disk_name": "thesis", "env_vars": {"GPU_TYPE": "a100", "GITHUB_USER": "ada"}}
    first = AnsweredBox.comes_up(whole, user, **wish)
    assert first.lets_in(ada, SECONDS_MAX)
    has_a_gpu_of_its_node(whole, first, ada)
    shows_jupyter_to_whoever_has_the_address(first)
    first.run(ada, "echo chapter > thesis.txt")
    with a_terminal(first, ada) as terminal:
        end_in(whole, first, timedelta(minutes=5, seconds=GRACE_SECONDS + 3))
        assert terminal.shows("*** Berth: the lease ends in 5 minutes, at ", SECONDS_MAX)
    end_in(whole, first, timedelta(seconds=2))
    assert user.comes_to(first.id, "expired", SECONDS_MAX)["ssh_command"] is None
    assert first.is_gone(whole, node)
    until(lambda: not user.disk("thesis")["in_use"], "a free disk", SECONDS_MAX)
    assert "thesis.txt" in user.ask("GET", "/disks/thesis/content")["content"]
    second = AnsweredBox.comes_up(whole, user, **wish)
    assert second.lets_in(ada, SECONDS_MAX)  # with the host's key that was accepted the first time
    assert second.run(ada, "cat thesis.txt") == "chapter"
    user.cancel(second.id)
    assert second.is_gone(whole, node)
    until(lambda: not left_in_ledger(whole), "the ledger", SECONDS_MAX)
    assert left_on_nodes(whole) == []


def has_a_gpu_of_its_node(installation: Installation, box: AnsweredBox, person: Person) -> None:
    """Asked for by the pod, given by the node's device plugin, and named in the person's session."""
    (pod,) = pods_of(installation, box.id)
    assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert box.run(person, "echo $NVIDIA_VISIBLE_DEVICES").startswith("GPU-")


def shows_jupyter_to_whoever_has_the_address(box: AnsweredBox) -> None:
    url = box.jupyter_comes_up()
    assert page_at(url) == "/lab"
    assert page_at(url.replace("token=", "token=not-")) == "/login"
    box.user.ask("POST", f"/jobs/{box.id}/jupyter/disable")
    assert box.answer["jupyter_url"] is None
    assert eventually(lambda: page_at(url) == "", TOLD_SECONDS_MAX)
