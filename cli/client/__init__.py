"""A typed client of the native API `/berth/v1`, for programs and for the `berth` command."""

from __future__ import annotations

from cli.client.answers import Gpr, Workspace
from cli.client.calls import BerthClient
from cli.client.failures import ApiFailure, Away, Invalid, NotFound, Refused
from cli.client.maintaining import Maintenance, NewMaintenance
from cli.client.requests import GprChange, NewGpr, NewKey, NewPool, NewWorkspace, PoolChange, PriceSetting, QuotaSetting
from cli.client.reserving import NewReservation, Reservation, SchedulingChange

__all__ = [
    "ApiFailure",
    "Away",
    "BerthClient",
    "Gpr",
    "GprChange",
    "Invalid",
    "Maintenance",
    "NewGpr",
    "NewKey",
    "NewMaintenance",
    "NewPool",
    "NewReservation",
    "NewWorkspace",
    "NotFound",
    "PoolChange",
    "PriceSetting",
    "QuotaSetting",
    "Refused",
    "Reservation",
    "SchedulingChange",
    "Workspace",
]
