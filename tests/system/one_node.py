"""A pool of one node and the workspaces that want it: all GPUs of that kind which a test has to reckon with."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from cli.client import NewPool, NewWorkspace
from domain.gpr import Phase
from domain.workspace import WorkspacePhase
from tests.system.freedom import left_in_ledger, until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cli.client import BerthClient
    from tests.system.installation import Installation

CLUSTER: Final = "worker-1"
NODE: Final = "worker-1-a100-1"
GPUS: Final = 4
STEP_SECONDS_MAX: Final = 90.0


@contextmanager
def pool_of_one_node(installation: Installation, pool: str, spaces: Sequence[str]) -> Iterator[BerthClient]:
    """All of it gone afterwards, whatever runs there by then."""
    native = installation.native
    until(lambda: any(node.name == NODE for node in native.nodes()), "the node", STEP_SECONDS_MAX)
    native.create_pool(NewPool(name=pool, nodes=[NODE]))
    for name in spaces:
        native.create_workspace(NewWorkspace(name=name, clusters=[CLUSTER], namespaces=[name]))
        ready = lambda name=name: native.workspace(name).phase is WorkspacePhase.READY  # noqa: E731
        until(ready, name, STEP_SECONDS_MAX)
    yield native
    release_all(installation, spaces)
    for name in spaces:
        native.delete_workspace(name)
    native.delete_pool(pool)


def release_all(installation: Installation, spaces: Sequence[str]) -> None:
    """Until nothing is held."""
    native = installation.native
    for name in spaces:
        for gpr in native.gprs(workspace=name, phases=[Phase.QUEUED, Phase.PROVISIONING, Phase.ACTIVE]):
            native.release(gpr.id)
    until(lambda: not left_in_ledger(installation), "an empty ledger", STEP_SECONDS_MAX)
