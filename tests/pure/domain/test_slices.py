from __future__ import annotations

import pytest

from domain.hardware import means_shape
from domain.identifiers import is_lease_token, is_token, lease_token_key, resource_of, token_key
from domain.slices import cut_of, host_of, part_name, uncut

A100 = "NVIDIA-A100-SXM4-40GB"


@pytest.mark.parametrize(
    ("shape", "cut"),
    [
        (A100, ""),
        (f"{A100}-MIG-1g.5gb", "mig-1g.5gb"),
        (f"{A100}-MIG-1g.5gb.me", "mig-1g.5gb.me"),
        (f"{A100}-MIG-1g.5gb-SHARED", "mig-1g.5gb-shared"),
        ("Tesla-T4-SHARED", "shared"),
    ],
)
def test_a_shape_says_what_its_gpus_were_cut_into(shape: str, cut: str) -> None:
    assert cut_of(shape) == cut
    assert uncut(shape) in {A100, "Tesla-T4"}


@pytest.mark.parametrize(
    ("word", "shape", "meant"),
    [
        ("a100", A100, True),
        ("a100", f"{A100}-MIG-1g.5gb", False),
        ("a100", f"{A100}-SHARED", False),
        ("a100-mig-1g.5gb", f"{A100}-MIG-1g.5gb", True),
        ("a100-mig-1g.5gb", f"{A100}-MIG-2g.10gb", False),
        ("a100-mig-1g.5gb", f"{A100}-MIG-1g.5gb-SHARED", False),
        ("a100-mig-1g.5gb", A100, False),
        ("t4-shared", "Tesla-T4-SHARED", True),
        (f"{A100}-MIG-1g.5gb", f"{A100}-MIG-1g.5gb", True),
        ("h100-mig-1g.5gb", f"{A100}-MIG-1g.5gb", False),
    ],
)
def test_a_part_of_a_gpu_is_meant_only_by_who_says_so(word: str, shape: str, meant: bool) -> None:
    assert means_shape(word, shape) is meant


def test_a_part_is_known_by_its_node_and_its_label() -> None:
    assert part_name("gpu-1", "mig-1g.5gb") == "gpu-1/mig-1g.5gb"
    assert (host_of("gpu-1/mig-1g.5gb"), host_of("gpu-1")) == ("gpu-1", "gpu-1")


@pytest.mark.parametrize("resource", ["nvidia.com/gpu", "nvidia.com/mig-1g.5gb", "nvidia.com/gpu.shared"])
def test_each_resource_has_tokens_of_its_own(resource: str) -> None:
    for key in (token_key("alpha-0123456789", resource), lease_token_key(7, resource)):
        assert is_token(key)
        assert resource_of(key) == resource
    assert is_lease_token(lease_token_key(7, resource))
    assert not is_lease_token(token_key("alpha-0123456789", resource))


def test_the_tokens_of_whole_gpus_are_what_they_were() -> None:
    assert token_key("alpha-0123456789") == "alpha-0123456789.berth.io/gpu"
    assert lease_token_key(7) == "lease-7.berth.io/gpu"
