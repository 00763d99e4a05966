"""One call of an operation: who asks, when, through what, and under which idempotency key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from api.backends import Backends
from domain.identity import Caller
from ledger import idempotency

if TYPE_CHECKING:
    from ledger.connection import Connection


@dataclass(frozen=True, slots=True)
class Call:
    """What every operation needs to know about its caller."""

    backends: Backends
    caller: Caller
    now: datetime
    idempotency_key: str | None = None

    @property
    def principal_id(self) -> UUID:
        """Who asks."""
        return self.caller.principal.id

    @property
    def actor(self) -> str:
        """Who asks, as the history names them."""
        return self.caller.principal.name

    def deliver(self, messages: Sequence[int]) -> None:
        """Tell Temporal what was just committed."""
        if messages:
            self.backends.courier.deliver_soon(messages)

    async def subject(self, connection: Connection, operation: str, request: Any, new_id: UUID) -> tuple[UUID, bool]:
        """The id of what to make, and whether it is still to be made: a repeat gets the id of what is there.

        `request` is a dataclass, or a tuple of such and of plain values.
        """
        wish = self._claim(operation, request)
        if wish is None:
            return new_id, True
        subject_id = await idempotency.claim(connection, wish, new_id, self.now)
        return subject_id, subject_id == new_id

    async def earlier_subject(self, connection: Connection, operation: str, request: Any) -> UUID | None:
        """What this very request made before under its idempotency key. For what is named only when it is made.

        The caller holds what the request is about, so that two at once cannot both be the first.
        """
        wish = self._claim(operation, request)
        return None if wish is None else await idempotency.earlier(connection, wish)

    def _claim(self, operation: str, request: Any) -> idempotency.Claim | None:
        if self.idempotency_key is None:
            return None
        return idempotency.Claim(self.principal_id, operation, self.idempotency_key, _plain(request))


def _plain(request: Any) -> Any:
    if isinstance(request, tuple):
        return [_plain(part) for part in request]
    return asdict(request) if hasattr(request, "__dataclass_fields__") else request
