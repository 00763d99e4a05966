"""Amounts of CPU and memory come to what Kubernetes says they come to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.dialects.gpuctl.quantities import cpu_millis, cpu_of, memory_bytes, memory_of
from domain.failures import InvalidRequest


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("1", 1), ("1k", 1000), ("1Ki", 1024), ("1.5Gi", 3 * 2**29), ("2M", 2_000_000), ("1Pi", 2**50)],
)
def test_memory_is_bytes(text: str, size: int) -> None:
    assert memory_bytes(text) == size


@pytest.mark.parametrize(
    "text", ["", "Gi", "-1Gi", "1 Gi", "1gi", "1e3", "1Ei", "1.2345Gi", "128m", "\u0661Gi", "1Gi\n"]
)
def test_what_is_no_amount_of_memory_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        memory_bytes(text)


@pytest.mark.parametrize("text", ["", "m", "-1", "1.5m", "1k", "1e3", ".5", "0.0001", "9" * 13, "1\n"])
def test_what_is_no_amount_of_cpu_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        cpu_millis(text)


@pytest.mark.parametrize("value", [None, True, [], {}, float("nan"), float("inf"), 1e-7])
def test_what_is_not_even_a_number_is_refused(value: object) -> None:
    with pytest.raises(InvalidRequest):
        cpu_of(value)
    with pytest.raises(InvalidRequest):
        memory_of(value)


@given(st.integers(0, 10**9))
def test_the_one_spelling_of_cpu_keeps_its_amount(millis: int) -> None:
    kept = cpu_of(f"{millis}m")
    assert cpu_millis(kept) == millis
    assert cpu_of(kept) == kept
