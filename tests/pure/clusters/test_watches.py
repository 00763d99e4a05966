from __future__ import annotations

import threading

import pytest
from kubernetes.client import Configuration

from clusters.connection import ClusterConnection
from clusters.failures import ListExpired
from clusters.watches import _NodeWatch
from tests.builders_clusters import Json, a_node_object


@pytest.fixture
def watch() -> _NodeWatch:
    return _NodeWatch(ClusterConnection("west", Configuration(host="https://west:6443")), threading.Event())


def _is_told(watch: _NodeWatch, kind: str, node: Json) -> bool:
    watch.changed.clear()
    watch._take({"type": kind, "object": node})
    return watch.changed.is_set()


def test_a_node_that_comes_changes_or_goes_is_told_once(watch: _NodeWatch) -> None:
    assert _is_told(watch, "ADDED", a_node_object())
    assert not _is_told(watch, "MODIFIED", a_node_object())
    assert _is_told(watch, "MODIFIED", a_node_object(gpus=4))
    assert _is_told(watch, "DELETED", a_node_object(gpus=4))


def test_a_node_without_gpus_is_nobodys_business(watch: _NodeWatch) -> None:
    assert not _is_told(watch, "ADDED", a_node_object(gpus=0))


def test_a_bookmark_moves_the_place_and_tells_nothing(watch: _NodeWatch) -> None:
    assert not _is_told(watch, "BOOKMARK", {"metadata": {"resourceVersion": "77"}})
    assert watch._version == "77"


def test_a_place_that_the_api_server_has_forgotten_is_left_for_a_fresh_list(watch: _NodeWatch) -> None:
    with pytest.raises(ListExpired, match="too old resource version"):
        watch._take({"type": "ERROR", "object": {"code": 410, "message": "too old resource version: 1 (2)"}})
