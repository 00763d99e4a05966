"""Every way in which Berth can fail, each with a stable code.

Two questions decide what happens next: will trying again help (`retryable`), and whose fault is it (the class). How a
failure looks over HTTP is decided in `api/problems.py`; how Temporal treats it, in `activities/failures.py`.
"""

from __future__ import annotations

from typing import ClassVar


class BerthFailure(Exception):
    """Something went wrong in Berth."""

    code: ClassVar[str] = "berth_failure"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "", **details: object) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.details = details
        super().__init__(self.message)


# --- the caller's fault -----------------------------------------------------------------------------------------------


class InvalidRequest(BerthFailure):
    """The request is not valid."""

    code = "invalid_request"


class Unauthenticated(BerthFailure):
    """No valid credential was given."""

    code = "unauthenticated"


class CredentialExpired(Unauthenticated):
    """The credential has expired."""

    code = "credential_expired"


class Forbidden(BerthFailure):
    """The caller may not do this."""

    code = "forbidden"


class NotFound(BerthFailure):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"


class AlreadyExists(BerthFailure):
    """The name is taken."""

    code = "already_exists"


class WrongPhase(BerthFailure):
    """The thing is in a phase in which this cannot be done."""

    code = "wrong_phase"


class IdempotencyMismatch(BerthFailure):
    """The idempotency key was used before with another request."""

    code = "idempotency_mismatch"


class InUse(BerthFailure):
    """Something still uses it."""

    code = "in_use"


class DoesNotFit(InUse):
    """There is no room for it at that time."""

    code = "does_not_fit"


class LimitReached(InUse):
    """More than what one may have at once."""

    code = "limit_reached"


class Gone(BerthFailure):
    """It was deleted."""

    code = "gone"


# --- nobody's fault, for now ------------------------------------------------------------------------------------------


class Unavailable(BerthFailure):
    """A part that is needed for this is away; try again later."""

    code = "unavailable"
    retryable = True


class LedgerUnavailable(Unavailable):
    """The ledger (PostgreSQL) is away."""

    code = "ledger_unavailable"


class ClusterUnavailable(Unavailable):
    """The Kubernetes cluster is away."""

    code = "cluster_unavailable"


class NotReadyYet(Unavailable):
    """What was waited for has not happened yet."""

    code = "not_ready_yet"


# --- a site's fault ---------------------------------------------------------------------------------------------------


class ClusterRefused(BerthFailure):
    """The Kubernetes cluster refused the request; trying again will not help."""

    code = "cluster_refused"


class NamespaceNotOurs(ClusterRefused):
    """The namespace exists and was not made by Berth for this workspace."""

    code = "namespace_not_ours"


class NodeUnfit(BerthFailure):
    """A granted node did not pass its check before provisioning."""

    code = "node_unfit"


class DataMissing(BerthFailure):
    """Data that should be there is not; going on would hide its loss."""

    code = "data_missing"


class FenceLost(BerthFailure):
    """The lease that this step was done for is no longer the current one."""

    code = "fence_lost"
