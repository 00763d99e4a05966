from __future__ import annotations

from typing import Any

import pytest

from clusters.connection import ClusterConnection
from clusters.failures import ObjectConflict
from clusters.labels import add_label, remove_label, set_label
from clusters.taints import node_path
from domain.failures import AlreadyExists, NotFound

KEY = "example.com/rack"


class Raced:
    """The cluster, in which somebody changes the node just before each of our first writes."""

    def __init__(self, connection: ClusterConnection, times: int, **labels: str) -> None:
        self.name, self.find = connection.name, connection.find
        self._connection, self._times, self._labels = connection, times, labels

    def merge(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if self._times:
            self._times -= 1
            labels = {f"raced-{self._times}": "x", **self._labels}
            self._connection.merge(path, {"metadata": {"labels": labels}})
        return self._connection.merge(path, body)


def labels_of(connection: ClusterConnection, node: str) -> dict[str, str]:
    labels: dict[str, str] = connection.get(node_path(node))["metadata"]["labels"]
    return labels


def test_a_label_is_put_on_changed_and_taken_off_and_no_other_is_touched(
    connection: ClusterConnection, node: str
) -> None:
    before = labels_of(connection, node)
    add_label(connection, node, KEY, "7")
    assert labels_of(connection, node) == {**before, KEY: "7"}
    set_label(connection, node, KEY, "")
    assert labels_of(connection, node) == {**before, KEY: ""}
    remove_label(connection, node, KEY)
    assert labels_of(connection, node) == before


def test_a_label_that_is_there_stays_unless_it_may_be_overwritten(connection: ClusterConnection, node: str) -> None:
    add_label(connection, node, KEY, "7")
    with pytest.raises(AlreadyExists):
        add_label(connection, node, KEY, "8")
    assert labels_of(connection, node)[KEY] == "7"
    add_label(connection, node, KEY, "8", overwrite=True)
    assert labels_of(connection, node)[KEY] == "8"


def test_what_is_not_there_is_neither_changed_nor_taken_off(connection: ClusterConnection, node: str) -> None:
    for name in (node, "not-there"):
        with pytest.raises(NotFound):
            set_label(connection, name, KEY, "7")
        with pytest.raises(NotFound):
            remove_label(connection, name, KEY)
    assert KEY not in labels_of(connection, node)
    with pytest.raises(NotFound):
        add_label(connection, "not-there", KEY, "7")


def test_a_change_by_somebody_else_meanwhile_is_kept(connection: ClusterConnection, node: str) -> None:
    add_label(Raced(connection, 2), node, KEY, "7")  # type: ignore[arg-type]
    found = labels_of(connection, node)
    assert (found[KEY], found["raced-0"], found["raced-1"]) == ("7", "x", "x")


def test_a_label_that_somebody_else_put_there_meanwhile_is_not_overwritten(
    connection: ClusterConnection, node: str
) -> None:
    with pytest.raises(AlreadyExists):
        add_label(Raced(connection, 1, **{KEY: "theirs"}), node, KEY, "ours")  # type: ignore[arg-type]
    assert labels_of(connection, node)[KEY] == "theirs"


def test_a_node_that_is_written_all_the_time_is_given_up(connection: ClusterConnection, node: str) -> None:
    with pytest.raises(ObjectConflict):
        add_label(Raced(connection, 99), node, KEY, "7")  # type: ignore[arg-type]
