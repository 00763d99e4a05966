"""Nothing that is cut or shared is called a whole GPU, however a cluster says it."""

from __future__ import annotations

import pytest

from clusters.inventory import one_resource_each
from clusters.observations import left_out_because, node_fingerprint, observed_node
from clusters.precheck import why_unfit
from domain.hardware import ObservedPart
from domain.identifiers import token_key
from domain.slices import GPU_RESOURCE, Slicing
from tests.builders_clusters import GPU, Json, a_bound_pod, a_node_object

H100 = "NVIDIA-H100-80GB-HBM3"
MIG = "nvidia.com/mig-1g.10gb"
ONE_G = {f"{MIG}.product": f"{H100}-MIG-1g.10gb", f"{MIG}.memory": "9728"}


def a_cut_node(counts: Json, **labels: str) -> Json:
    """A node with these devices, and these labels beside its product and memory."""
    node = a_node_object(labels=labels)
    node["status"]["capacity"] = dict(counts)
    node["status"]["allocatable"] = dict(counts)
    return node


def the_only_part(node: Json) -> ObservedPart:
    seen = observed_node(node)
    (part,) = seen.parts
    assert seen.gpus == 0
    return part


def test_under_the_mixed_strategy_instances_are_parts_beside_the_whole_gpus() -> None:
    seen = observed_node(a_cut_node({GPU: "6", MIG: "14"}, **ONE_G), {MIG: 3})
    assert (seen.gpus, seen.foreign_gpus) == (0, 0)
    assert seen.parts == (
        ObservedPart("gpu", GPU, H100, Slicing.NONE, 6, 81_559),
        ObservedPart("mig-1g.10gb", MIG, f"{H100}-MIG-1g.10gb", Slicing.MIG, 14, 9728, foreign=3),
    )


def test_under_the_single_strategy_the_gpus_that_are_counted_are_instances() -> None:
    labels = {f"{GPU}.product": f"{H100}-MIG-1g.10gb", f"{GPU}.memory": "9728", "nvidia.com/mig.strategy": "single"}
    part = the_only_part(a_cut_node({GPU: "56"}, **labels))
    assert part == ObservedPart("gpu.mig-1g.10gb", GPU_RESOURCE, f"{H100}-MIG-1g.10gb", Slicing.MIG, 56, 9728)


def test_the_strategy_alone_cuts_nothing() -> None:
    seen = observed_node(a_cut_node({GPU: "8"}, **{"nvidia.com/mig.strategy": "single"}))
    assert (seen.gpus, seen.parts) == (8, ())


@pytest.mark.parametrize(
    "labels",
    [
        {f"{GPU}.replicas": "4"},
        {f"{GPU}.product": f"{H100}-SHARED"},
        {f"{GPU}.sharing-strategy": "time-slicing"},
        {f"{GPU}.sharing-strategy": "mps", f"{GPU}.replicas": "4"},
    ],
)
def test_replicas_by_the_name_of_gpus_are_shared(labels: dict[str, str]) -> None:
    part = the_only_part(a_cut_node({GPU: "32"}, **labels))
    assert (part.label, part.resource, part.slicing) == ("gpu.replicas", GPU, Slicing.SHARED)
    assert (part.shape, part.count) == (f"{H100}-SHARED", 32)


def test_replicas_by_a_name_of_their_own_are_shared() -> None:
    part = the_only_part(a_cut_node({GPU: "0", f"{GPU}.shared": "32"}, **{f"{GPU}.replicas": "4"}))
    assert (part.label, part.resource, part.slicing) == ("gpu.shared", f"{GPU}.shared", Slicing.SHARED)
    assert part.memory_mib == 81_559 // 4


@pytest.mark.parametrize(
    ("resource", "label"), [(MIG, "mig-1g.10gb.replicas"), (f"{MIG}.shared", "mig-1g.10gb.shared")]
)
def test_instances_may_be_shared_too(resource: str, label: str) -> None:
    part = the_only_part(a_cut_node({resource: "28"}, **ONE_G, **{f"{MIG}.replicas": "2"}))
    assert (part.label, part.slicing, part.shape) == (label, Slicing.SHARED, f"{H100}-MIG-1g.10gb-SHARED")
    assert part.memory_mib == 9728 // 2


def test_under_mps_the_label_says_each_ones_memory() -> None:
    labels = {f"{GPU}.replicas": "4", f"{GPU}.sharing-strategy": "mps", f"{GPU}.memory": "20389"}
    assert the_only_part(a_cut_node({GPU: "32"}, **labels)).memory_mib == 20_389


def test_an_instance_without_labels_is_known_by_its_resource() -> None:
    node = a_cut_node({MIG: "7"})
    node["metadata"]["labels"] = None
    part = the_only_part(node)
    assert (part.shape, part.slicing, part.memory_mib) == ("unknown-MIG-1g.10gb", Slicing.MIG, 0)


def test_more_gpus_than_there_are_and_no_word_of_it_is_nothing_to_offer() -> None:
    why = left_out_because(a_cut_node({GPU: "32"}, **{f"{GPU}.count": "8"}))
    assert why == "Kubernetes counts 32 GPUs where it has 8: they are shared or cut, and no label says how"
    assert not left_out_because(a_cut_node({GPU: "32"}, **{f"{GPU}.count": "8", f"{GPU}.replicas": "4"}))


def test_other_resources_are_no_gpus() -> None:
    assert observed_node(a_cut_node({"nvidia.com/hostdev": "4", "example.org/gpu": "1"})).parts == ()


def test_a_sick_instance_takes_its_part_alone_out_of_use() -> None:
    node = a_cut_node({GPU: "6", MIG: "14"}, **ONE_G)
    node["status"]["allocatable"][MIG] = "13"
    seen = observed_node(node)
    assert (seen.schedulable, [bool(part.condition) for part in seen.parts]) == (True, [False, True])


def test_a_fingerprint_changes_with_the_cut() -> None:
    one, other = (a_cut_node({GPU: "6", MIG: count}, **ONE_G) for count in ("14", "7"))
    assert node_fingerprint(one) != node_fingerprint(other)


def test_a_shape_that_comes_as_two_resources_is_offered_as_one() -> None:
    single = a_cut_node({GPU: "7"}, **{f"{GPU}.product": f"{H100}-MIG-1g.10gb"})
    mixed = a_cut_node({GPU: "4", MIG: "7"}, **ONE_G)
    seen = one_resource_each([observed_node(single), observed_node(mixed)])
    offered = [part.resource for node in seen for part in node.parts if not part.condition]
    assert offered == [GPU, MIG]
    assert (
        seen[0].parts[0].condition
        == f"{H100}-MIG-1g.10gb is {MIG} on other nodes of the cluster: it is offered as that alone"
    )


KEY = token_key("alpha-0123456789", MIG)
WHOLE = token_key("alpha-0123456789")


def test_a_granted_part_is_fit_while_its_devices_are_free() -> None:
    node = a_cut_node({GPU: "6", MIG: "14"}, **ONE_G)
    node["status"]["allocatable"] |= {"beta-1.berth.io/mig-1g.10gb": "10", "beta-1.berth.io/gpu": "6"}
    assert why_unfit("gpu-1/mig-1g.10gb", node, [], (KEY, 4)) == ""
    assert why_unfit("gpu-1/mig-1g.10gb", node, [], (KEY, 5)) == "4 of its 14 GPUs are free, not 5"
    assert why_unfit("gpu-1/gpu", node, [], (WHOLE, 1)) == "0 of its 6 GPUs are free, not 1"


def test_strangers_use_devices_of_their_own_kind() -> None:
    node = a_cut_node({GPU: "6", MIG: "14"}, **ONE_G)
    stranger = a_bound_pod()
    stranger["spec"]["containers"][0]["resources"]["limits"] = {MIG: "14"}
    assert why_unfit("gpu-1/mig-1g.10gb", node, [stranger], (KEY, 1)) == "0 of its 14 GPUs are free, not 1"
    assert why_unfit("gpu-1/gpu", node, [stranger], (WHOLE, 6)) == ""


def test_what_was_granted_and_is_cut_in_another_way_now_is_unfit() -> None:
    whole, cut = a_node_object(), a_cut_node({MIG: "14"}, **ONE_G)
    shared = a_node_object(gpus=32, labels={f"{GPU}.replicas": "4"})
    assert why_unfit("gpu-1", cut, [], (WHOLE, 1)) == "its GPUs are cut or shared now"
    assert why_unfit("gpu-1", shared, [], (WHOLE, 1)) == "its GPUs are cut or shared now"
    assert why_unfit("gpu-1/mig-1g.10gb", whole, [], (KEY, 1)) == "its GPUs are cut in another way now"
