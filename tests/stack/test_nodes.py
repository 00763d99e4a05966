from __future__ import annotations

from cli.stack import nodes
from cli.stack.nodes import GpuNode


def test_the_fleet_has_nodes_of_one_four_and_eight_gpus_in_three_shapes_on_two_clusters() -> None:
    fleet = [node for cluster in nodes.clusters() for node in nodes.fleet(cluster)]
    assert nodes.clusters() == ["worker-1", "worker-2"]
    assert {node.gpus for node in fleet} == {1, 4, 8}
    assert {node.product for node in fleet} == {"Tesla-T4", "NVIDIA-A100-SXM4-40GB", "NVIDIA-H100-80GB-HBM3"}
    assert len({node.name for node in fleet}) == len(fleet)


def test_a_node_carries_the_labels_of_gpu_feature_discovery() -> None:
    labels = nodes.of_instance("n", "p5.48xlarge", "us-east-1").manifest["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-H100-80GB-HBM3"
    assert labels["nvidia.com/gpu.memory"] == "81559"
    assert labels["nvidia.com/gpu.count"] == "8"
    assert labels["node.kubernetes.io/instance-type"] == "p5.48xlarge"
    assert labels["topology.kubernetes.io/region"] == "us-east-1"


def test_a_node_offers_what_it_has() -> None:
    status = GpuNode("n", gpus=2, cpu="16").manifest["status"]
    assert status["allocatable"] == status["capacity"]
    assert (status["capacity"]["nvidia.com/gpu"], status["capacity"]["cpu"]) == ("2", "16")
