from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cli.stack.ports import free_anywhere, is_free
from cli.stack.probe import Endpoint
from cli.stack.temporal import RETENTION_SECONDS, SEARCH_ATTRIBUTES, Temporal, TemporalPorts

if TYPE_CHECKING:
    from cli.stack.roster import Roster


@pytest.fixture
def own_temporal(roster: Roster) -> Temporal:
    """One that a test may kill."""
    temporal = Temporal(roster, TemporalPorts(*free_anywhere(4)))
    temporal.start()
    return temporal


def asked(temporal: Temporal, path: str, body: object = None) -> Any:
    api = Endpoint(f"http://127.0.0.1:{temporal.ports.http}")
    return api.request("GET" if body is None else "POST", path, body).json()


def test_workflows_outlive_a_stop_and_a_crash(own_temporal: Temporal) -> None:
    start = {"workflowType": {"name": "w"}, "taskQueue": {"name": "q"}}
    run = asked(own_temporal, "/api/v1/namespaces/default/workflows/kept", start)["runId"]
    own_temporal.stop()
    own_temporal.start()
    own_temporal.kill()
    own_temporal.start()
    found = asked(own_temporal, "/api/v1/namespaces/default/workflows/kept")["workflowExecutionInfo"]
    assert found["execution"]["runId"] == run


def test_it_is_ready_only_with_berths_search_attributes_and_retention(own_temporal: Temporal) -> None:
    attributes = asked(own_temporal, "/cluster/namespaces/default/search-attributes")["customAttributes"]
    assert attributes.keys() >= SEARCH_ATTRIBUTES.keys()
    config = asked(own_temporal, "/api/v1/namespaces/default")["config"]
    assert config["workflowExecutionRetentionTtl"] == f"{RETENTION_SECONDS}s"


def test_the_ui_answers_and_a_stop_frees_every_port(own_temporal: Temporal) -> None:
    assert Endpoint(own_temporal.ui_url).answers("/")
    own_temporal.stop()
    assert is_free(own_temporal.ports.grpc)
    assert is_free(own_temporal.ports.ui)
