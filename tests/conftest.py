"""The real parts that tests run on, each started once per session and only when a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from cryptography.fernet import Fernet

from cli.stack.nodes import GpuNode
from cli.stack.testing import running_cluster, running_postgres, running_temporal
from clusters.connection import ClusterConnection
from clusters.registration import install
from delivery.courier import Courier
from delivery.temporal import TemporalAddress, TemporalDoor
from ledger.connection import Ledger
from ledger.migrate import migrate
from ledger.sealing import KEYRING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from cli.stack.testing import Cluster, Postgres, Temporal

KEYRING.use(Fernet.generate_key().decode())

CLUSTER_NODES = [
    GpuNode("t4-a", gpus=1),
    GpuNode("t4-b", gpus=1),
    GpuNode("h100-a", gpus=8),
    GpuNode("h100-b", gpus=8),
]


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as part:
        yield part


@pytest_asyncio.fixture(scope="session")
async def migrated_template(postgres: Postgres) -> str:
    """Name of a migrated, empty database that others are copied from."""
    url = postgres.create_database()
    ledger = Ledger(url)
    await migrate(ledger)
    await ledger.close()
    return url.rsplit("/", 1)[1]


@pytest.fixture
def database_url(postgres: Postgres, migrated_template: str) -> str:
    """A migrated, empty database of the test's own."""
    return postgres.create_database(template=migrated_template)


@pytest_asyncio.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    opened = Ledger(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def temporal() -> Iterator[Temporal]:
    with running_temporal() as part:
        yield part


@pytest.fixture(scope="session")
def kube_cluster() -> Iterator[Cluster]:
    """A control plane named worker-1 with the nodes above; tests leave it as they found it."""
    with running_cluster(CLUSTER_NODES, name="worker-1") as part:
        yield part


@pytest.fixture(scope="session")
def cluster(kube_cluster: Cluster) -> Iterator[ClusterConnection]:
    connection = ClusterConnection.from_kubeconfig("worker-1", kube_cluster.kubeconfig_path)
    install(connection)
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def second_kube_cluster() -> Iterator[Cluster]:
    with running_cluster([GpuNode("far-a", gpus=4)], name="worker-2") as part:
        yield part


@pytest.fixture(scope="session")
def second_cluster(second_kube_cluster: Cluster) -> Iterator[ClusterConnection]:
    connection = ClusterConnection.from_kubeconfig("worker-2", second_kube_cluster.kubeconfig_path)
    install(connection)
    yield connection
    connection.close()


@pytest.fixture
def courier(ledger: Ledger, temporal: Temporal) -> Courier:
    return Courier(ledger, TemporalDoor(TemporalAddress(temporal.address)))
