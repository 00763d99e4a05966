"""Whole stacks without Berth's own processes: those have their tests in `system/`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from cli.stack import processes
from cli.stack.attachments import Attachments
from cli.stack.events import Event, Moment
from cli.stack.failures import StackError
from cli.stack.parts import PartState
from cli.stack.ports import free_anywhere, is_free
from cli.stack.probe import Endpoint
from cli.stack.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

STORES = ("postgres", "temporal")
CLUSTER = ("worker-2",)


def states(stack: Stack) -> dict[str, PartState]:
    return {part.name: part.state for part in stack.parts()}


def pids(stack: Stack) -> list[int]:
    return [part.pid for part in stack.parts() if part.pid]


def ports(stack: Stack) -> set[int]:
    return set(stack._settings.ports.values())


def test_two_stacks_run_side_by_side_and_stop_apart(a_stack: Callable[[str], Stack]) -> None:
    one, two = a_stack("one"), a_stack("two")
    for stack in (one, two):
        stack.up(only=STORES)
    assert not ports(one) & ports(two)
    one.down()
    assert states(one)["postgres"] is PartState.STOPPED
    assert states(two)["postgres"] is PartState.RUNNING
    assert Endpoint(two.urls()["Temporal UI"]).answers("/")


def test_down_and_up_keep_addresses_and_a_second_up_changes_nothing(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.up(only=STORES)
    before = stack.environment()
    stack.down()
    stack.up(only=STORES)
    running = pids(stack)
    Stack(stack.name, stack.folder).up(only=STORES)
    assert stack.environment() == before
    assert pids(stack) == running


def test_two_commands_at_once_start_each_part_once(a_stack: Callable[[str], Stack]) -> None:
    with ThreadPoolExecutor() as threads:
        list(threads.map(lambda stack: stack.up(only=("postgres",)), [a_stack("one"), a_stack("one")]))
    stack = a_stack("one")
    assert len(pids(stack)) == 1
    assert stack.roster.log("postgres").read_text().count("starting PostgreSQL") == 1


def test_nothing_is_left_behind_after_a_purge(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.up(only=(*STORES, *CLUSTER))
    used, running = ports(stack), pids(stack)
    stack.kill("worker-2.kube-scheduler")
    stack.down(purge=True)
    assert not stack.folder.exists()
    assert all(is_free(port) for port in used)
    assert not [pid for pid in running if processes._birth(pid)]


def test_a_killed_part_shows_as_crashed_and_up_brings_it_back(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.up(only=STORES)
    stack.kill("postgres")
    assert states(stack)["postgres"] is PartState.CRASHED
    stack.up(only=STORES)
    assert states(stack)["postgres"] is PartState.RUNNING


def test_a_part_that_is_new_to_a_running_cluster_gets_its_port_and_is_let_in(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.up(only=CLUSTER)
    stack.stop("worker-2.snapshot-controller")
    before = pids(stack)
    del stack._settings.ports["worker-2.snapshots"]
    stack._settings.save()
    Stack(stack.name, stack.folder).up(only=CLUSTER)
    assert states(stack)["worker-2.snapshot-controller"] is PartState.RUNNING
    assert set(before) < set(pids(stack))
    assert "snapshot-controller" not in (stack.folder / "worker-2" / "tokens.csv").read_text()


def test_one_part_is_stopped_and_started_by_name(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.up(only=("temporal",))
    stack.stop("temporal")
    assert states(stack)["temporal"] is PartState.STOPPED
    stack.start("temporal")
    assert states(stack)["temporal"] is PartState.RUNNING
    with pytest.raises(StackError, match="no part mainframe"):
        stack.kill("mainframe")


def test_what_the_user_has_is_attached_to_and_never_stopped(a_stack: Callable[[str], Stack], tmp_path: Path) -> None:
    theirs, ours = a_stack("theirs"), a_stack("ours")
    theirs.up(only=STORES)
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text("{}")
    environment = theirs.environment()
    given = Attachments(environment["DATABASE_URL"], environment["TEMPORAL_ADDRESS"], {"prod": str(kubeconfig)})
    ours.up(attach=given, only=STORES)
    assert states(ours)["postgres"] is states(ours)["temporal"] is states(ours)["prod"] is PartState.ATTACHED
    assert ours.environment()["BERTH_KUBECONFIGS"] == f"prod={kubeconfig}"
    ours.down(purge=True)
    assert states(theirs)["postgres"] is PartState.RUNNING


def test_a_part_of_ours_stops_when_the_users_own_replaces_it(a_stack: Callable[[str], Stack]) -> None:
    theirs, ours = a_stack("theirs"), a_stack("ours")
    theirs.up(only=("temporal",))
    ours.up(only=("temporal",))
    before = pids(ours)
    ours.up(attach=Attachments(temporal_address=theirs._assembly.temporal.address), only=("temporal",))
    assert states(ours)["temporal"] is PartState.ATTACHED
    assert not [pid for pid in before if processes._birth(pid)]


@pytest.mark.parametrize(
    ("attach", "named"),
    [
        (Attachments(database_url="postgresql://127.0.0.1:{port}/x"), "DATABASE_URL"),
        (Attachments(temporal_address="127.0.0.1:{port}"), "TEMPORAL_ADDRESS"),
        (Attachments(kubeconfigs={"prod": "/no/such/file"}), "kubeconfig of prod"),
        (Attachments(database_url="mysql://here/x"), "DATABASE_URL"),
    ],
)
def test_a_part_to_attach_to_that_is_not_there_is_named(
    a_stack: Callable[[str], Stack], attach: Attachments, named: str
) -> None:
    port = str(free_anywhere(1)[0])
    url, address = attach.database_url, attach.temporal_address
    given = Attachments(url and url.format(port=port), address and address.format(port=port), attach.kubeconfigs)
    with pytest.raises(StackError, match=named) as failure:
        a_stack("one").up(attach=given, only=())
    assert failure.value.mend


def test_progress_is_told_part_by_part_without_passwords(a_stack: Callable[[str], Stack]) -> None:
    stack, told = a_stack("one"), list[Event]()
    stack.up(told.append, only=("postgres",))
    stack.down(told.append)
    moments = [(event.part, event.moment) for event in told]
    assert moments == [("postgres", each) for each in (Moment.STARTING, Moment.READY, Moment.STOPPED)]
    secret = (stack.folder / "postgres" / "password").read_text()
    assert not [event for event in told if secret in event.message]


def test_a_stack_that_was_never_started_has_no_parts_and_stops_quietly(a_stack: Callable[[str], Stack]) -> None:
    stack = a_stack("one")
    stack.down(purge=True)
    assert not stack.exists
    assert stack.parts() == []
    assert stack.administrator_key() is None
