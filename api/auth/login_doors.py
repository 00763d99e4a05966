"""The doors through which people come in who have no API key yet, as they are set up here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from api.auth.aws import DEFAULT_AUDIENCE, AwsCredentials, AwsDoor, StsPlace
from api.auth.aws_identity import AwsIdentity, AwsRules
from api.auth.development import DEVELOPER, is_example, warn
from api.auth.oidc import OidcDoor
from api.auth.outside import SECONDS_MAX, Outside

KEY_HOURS: Final = 2
KEY_HOURS_MAX: Final = 168


@dataclass(frozen=True, slots=True)
class LoginRules:
    """Who may come in, and whose word counts. As it stands here: nobody's."""

    sts: StsPlace = field(default_factory=StsPlace)
    aws: AwsRules = field(default_factory=AwsRules)
    audience: str = DEFAULT_AUDIENCE
    oidc: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Audiences by issuer."""
    key_hours: int = KEY_HOURS
    """How long a key lives that a login hands out."""
    seconds_max: float = SECONDS_MAX
    """How long those who vouch may take to answer."""
    is_development: bool = False


class LoginDoors:
    """AWS and OIDC. Every method raises Unauthenticated, Forbidden or IssuerUnavailable."""

    def __init__(self, rules: LoginRules, clock: Callable[[], datetime]) -> None:
        self._outside = Outside(rules.seconds_max)
        self._is_development = rules.is_development
        self.key_hours = rules.key_hours
        self.aws = AwsDoor(self._outside, clock, place=rules.sts, rules=rules.aws, audience=rules.audience)
        self.oidc = OidcDoor(self._outside, clock, rules.oidc)

    async def with_aws_credentials(self, credentials: AwsCredentials) -> AwsIdentity:
        """Whose credentials these are."""
        if self._is_development and is_example(credentials):
            warn()
            return DEVELOPER
        return await self.aws.with_credentials(credentials)

    async def close(self) -> None:
        """Let go."""
        await self._outside.close()
