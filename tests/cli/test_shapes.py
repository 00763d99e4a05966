from __future__ import annotations

import pytest

from cli.failures import CommandFailed
from cli.shapes import full_shape
from tests.builders_cli import a_node

NODES = [
    a_node(shape=shape) for shape in ("Tesla-T4", "NVIDIA-A100-SXM4-40GB", "NVIDIA-A100-SXM4-80GB", "H100", "H100-NVL")
]


@pytest.mark.parametrize(("words", "shape"), [("t4", "Tesla-T4"), ("a100-sxm4-80", "NVIDIA-A100-SXM4-80GB")])
def test_a_part_that_only_one_shape_has_is_enough(words: str, shape: str) -> None:
    assert full_shape(words, NODES) == shape


def test_a_whole_name_is_itself_even_where_others_hold_it() -> None:
    assert full_shape("h100", NODES) == "H100"


def test_a_part_that_several_have_is_not_guessed() -> None:
    with pytest.raises(CommandFailed, match="may mean NVIDIA-A100-SXM4-40GB, NVIDIA-A100-SXM4-80GB"):
        full_shape("A100", NODES)


def test_what_no_node_has_is_left_to_the_server() -> None:
    assert full_shape("B200", NODES) == "B200"
