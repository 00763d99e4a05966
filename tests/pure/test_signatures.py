"""What workflows know of activities is what activities are: same names, same shapes, nothing missing."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import pytest
from temporalio import activity

from activities.bookkeeping import LedgerBookkeeping
from activities.devices import NvmlDevices
from activities.hardware_watch import LedgerHardwareWatching, LedgerRecovering
from activities.provisioning import ClusterProvisioning
from activities.reconciling import RealClusterReconciling, RealLedgerReconciling
from activities.reservations import ClusterUse, LedgerReservations
from activities.samples import LedgerSamples
from activities.teardown import ClusterTeardown
from activities.tenancy import ClusterTenancy

PARTS = [
    LedgerBookkeeping,
    ClusterProvisioning,
    ClusterTeardown,
    ClusterTenancy,
    NvmlDevices,
    RealClusterReconciling,
    RealLedgerReconciling,
    LedgerReservations,
    ClusterUse,
    LedgerSamples,
    LedgerHardwareWatching,
    LedgerRecovering,
]
STEPS = [
    (part, name)
    for part in PARTS
    for name in sorted(part.__abstractmethods__ | set(part.__mro__[1].__abstractmethods__))
]


@pytest.mark.parametrize(("part", "name"), STEPS, ids=lambda value: value if isinstance(value, str) else value.__name__)
def test_an_activity_is_what_its_signature_says(part: type, name: str) -> None:
    signature, body = getattr(part.__mro__[1], name), getattr(part, name)
    assert definition(signature) == definition(body)
    assert get_type_hints(signature) == get_type_hints(body)
    assert inspect.iscoroutinefunction(signature) == inspect.iscoroutinefunction(body)


def definition(method: Any) -> str | None:
    return activity._Definition.must_from_callable(method).name
