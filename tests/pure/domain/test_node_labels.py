from __future__ import annotations

import pytest

from domain.failures import InvalidRequest
from domain.hardware import means_shape
from domain.node_labels import checked_key, checked_own_key, checked_value


@pytest.mark.parametrize("key", ["a", "A-b_c.9", "example.com/rack", "nvidia.com/gpu-type", f"{'a' * 189}/{'b' * 63}"])
def test_keys_that_people_may_write(key: str) -> None:
    assert checked_own_key(key) == key


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "a/",
        "/a",
        "a/b/c",
        "-a",
        "a-",
        "a b",
        "é",
        "A.com/x",
        "a..b/x",
        "b" * 64,
        f"{'a' * 190}/{'b' * 63}",
        "a\0",
    ],
)
def test_what_kubernetes_would_not_take_for_a_key(key: str) -> None:
    with pytest.raises(InvalidRequest, match="is no key of a label"):
        checked_key(key)


@pytest.mark.parametrize(
    "key",
    [
        "berth.io/workspace",
        "team.berth.io/gpu",
        "kubernetes.io/os",
        "node-role.kubernetes.io/worker",
        "x.k8s.io/a",
        "nvidia.com/mig.config",
    ],
)
def test_keys_that_belong_to_others_may_be_named_and_not_written(key: str) -> None:
    assert checked_key(key) == key
    with pytest.raises(InvalidRequest, match="belongs to"):
        checked_own_key(key)


@pytest.mark.parametrize("key", ["notkubernetes.io/a", "kubernetes.io.example.com/a", "berth.iox/a"])
def test_domains_that_only_look_like_theirs(key: str) -> None:
    assert checked_own_key(key) == key


@pytest.mark.parametrize(
    ("value", "fine"), [("", True), ("a.b-c_9", True), ("-a", False), ("a b", False), ("a" * 64, False)]
)
def test_values(value: str, fine: bool) -> None:
    if fine:
        assert checked_value(value) == value
    else:
        with pytest.raises(InvalidRequest, match="is no value of a label"):
            checked_value(value)


@pytest.mark.parametrize(
    ("word", "shape", "means"),
    [
        ("a100", "NVIDIA-A100-SXM4-80GB", True),
        ("A100-80G", "NVIDIA-A100-SXM4-80GB", True),
        ("nvidia-a100-sxm4-80gb", "NVIDIA-A100-SXM4-80GB", True),
        ("h100", "NVIDIA-A100-SXM4-80GB", False),
        ("NVIDIA-H100-80GB-HBM3", "NVIDIA-A100-SXM4-80GB", False),
        ("t4", "Tesla-T4", True),
        ("tesla", "Tesla-T4", True),
        ("RTX 4090", "NVIDIA-GeForce-RTX-4090", True),
        ("RTX 4080", "NVIDIA-GeForce-RTX-4090", False),
        ("l40", "NVIDIA-L40S", False),
        ("", "Tesla-T4", False),
        ("---", "Tesla-T4", False),
    ],
)
def test_gpus_by_the_names_that_people_give_them(word: str, shape: str, means: bool) -> None:
    assert means_shape(word, shape) is means
