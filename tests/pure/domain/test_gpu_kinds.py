"""Which nodes people mean by the name of a GPU, and how a number of GPUs is spread over them."""

from __future__ import annotations

import pytest

from domain.gpu_kinds import GpuKind, NodeModel, split

T4 = GpuKind("t4", "T4", "g4dn.12xlarge", 4, frozenset({"g4dn.2xlarge"}))
H100 = GpuKind("h100", "H100", "p5.48xlarge", 8)
CPU = GpuKind("cpu-x86", "", "c7i.8xlarge", 0)
LARGE_T4 = NodeModel("Tesla-T4", "g4dn.12xlarge", 4)
SMALL_T4 = NodeModel("Tesla-T4", "g4dn.2xlarge", 1)
OTHER_T4 = NodeModel("Tesla-T4", "n1-standard-8", 1)
SXM = NodeModel("NVIDIA-H100-80GB-HBM3", "p5.48xlarge", 8)
PCIE = NodeModel("NVIDIA-H100-PCIe", "elsewhere", 2)
NOT_IT = NodeModel("NVIDIA-H200", "p5e.48xlarge", 8)


def test_a_product_is_meant_whatever_else_its_shape_says() -> None:
    assert H100.models([SXM, PCIE, NOT_IT, LARGE_T4]) == [SXM, PCIE]
    assert H100.wanted([SXM, PCIE, NOT_IT]) == [("NVIDIA-H100-80GB-HBM3", ""), ("NVIDIA-H100-PCIe", "")]
    assert H100.per_node_max([PCIE, SXM]) == 8


def test_nodes_that_go_by_another_name_are_not_meant_and_then_instance_types_are_named() -> None:
    assert T4.models([LARGE_T4, SMALL_T4, OTHER_T4]) == [LARGE_T4, OTHER_T4]
    assert T4.wanted([LARGE_T4, SMALL_T4, OTHER_T4]) == [("Tesla-T4", "g4dn.12xlarge"), ("Tesla-T4", "n1-standard-8")]
    assert T4.wanted([LARGE_T4, OTHER_T4]) == [("Tesla-T4", "")]


def test_without_any_node_the_usual_instance_is_waited_for() -> None:
    assert (H100.wanted([LARGE_T4]), H100.per_node_max([LARGE_T4])) == ([("", "p5.48xlarge")], 8)


def test_what_has_no_gpus_has_no_nodes_of_its_own_and_takes_any() -> None:
    assert (CPU.models([SXM]), CPU.wanted([SXM]), CPU.per_node_max([SXM])) == ([], [("", "")], 0)


@pytest.mark.parametrize(
    ("gpus", "per_node_max", "expected"),
    [(1, 8, (1, 1)), (8, 8, (1, 8)), (16, 8, (2, 8)), (4, 1, (4, 1)), (4, 3, (2, 2)), (2, 64, (1, 2)), (0, 0, (1, 0))],
)
def test_gpus_are_on_as_few_nodes_as_share_them_evenly(gpus: int, per_node_max: int, expected: tuple[int, int]) -> None:
    assert split(gpus, per_node_max) == expected
