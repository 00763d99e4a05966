"""The environment of the API process, read once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.auth.addresses import checked_address, checked_origin
from api.auth.aws import DEFAULT_AUDIENCE, DEFAULT_REGION, StsPlace
from api.auth.aws_identity import AwsRules
from api.auth.login_doors import KEY_HOURS, KEY_HOURS_MAX, LoginRules
from api.auth.outside import SECONDS_MAX
from api.auth.rates import BAD_PER_ADDRESS, PER_KEY, parsed
from api.backends import BOX_IMAGE
from api.logs import LogFormat
from domain.promises import EXTENSION_HOURS_MAX, PROMISES_PER_WORKSPACE, TimeRules


class Settings(BaseSettings):
    """Each field is the environment variable named by its alias."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True, populate_by_name=True)

    database_url: str = Field(validation_alias="DATABASE_URL")
    """The ledger."""
    temporal_address: str = Field("127.0.0.1:7233", validation_alias="TEMPORAL_ADDRESS")
    """host:port of Temporal's frontend."""
    temporal_namespace: str = Field("default", validation_alias="TEMPORAL_NAMESPACE")
    """Namespace in which workers run."""
    kubeconfigs: Annotated[dict[str, Path], NoDecode] = Field(
        default_factory=dict, validation_alias="BERTH_KUBECONFIGS"
    )
    """`name=path,name=path`: clusters for which this process may issue kubeconfigs."""
    host: str = Field("127.0.0.1", validation_alias="BERTH_API_HOST")
    """Address to listen on."""
    port: int = Field(8000, ge=0, le=65535, validation_alias="BERTH_API_PORT")
    """Port to listen on; 0 takes a free one."""
    log_format: LogFormat = Field("json", validation_alias="BERTH_LOG_FORMAT")
    """`json` for machines, `console` for people."""
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_CORS_ORIGINS")
    """Comma-joined origins whose pages may call this API; none by default."""
    ledger_connections_max: int = Field(20, ge=1, le=1000, validation_alias="BERTH_API_LEDGER_CONNECTIONS")
    """Connections to the ledger that this process keeps at most."""
    secrets_keys: str = Field("", validation_alias="BERTH_SECRETS_KEYS", repr=False)
    """Keys with which values of variables and tokens of Jupyter are sealed in the ledger, comma-joined: the first seals,
    all of them open. Without any, jobs with variables and boxes with Jupyter are refused."""
    host_path_prefixes: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_HOST_PATH_PREFIXES")
    """Comma-joined folders of the nodes under which jobs may mount; none by default."""
    box_image: str = Field(BOX_IMAGE, pattern=r"^[!-~]+$", max_length=500, validation_alias="BERTH_BOX_IMAGE")
    """What runs in dev boxes that name no image."""
    requests_per_key: str = Field(PER_KEY, validation_alias="BERTH_API_REQUESTS_PER_KEY")
    """How often one key may ask this process, as in `6000/minute`; empty: as often as it likes."""
    bad_requests_per_address: str = Field(BAD_PER_ADDRESS, validation_alias="BERTH_API_BAD_REQUESTS_PER_ADDRESS")
    """How often one address may ask with bad credentials; above it the answer is 429 rather than 401."""
    ready_seconds: float = Field(15.0, ge=0, validation_alias="BERTH_API_READY_SECONDS")
    """How long the request for a new workspace, durable at once, waits for it to be made."""
    shutdown_seconds: int = Field(20, ge=0, validation_alias="BERTH_API_SHUTDOWN_SECONDS")
    """How long requests under way may take to end once the process is told to stop."""

    promises_per_workspace: int = Field(
        PROMISES_PER_WORKSPACE, ge=0, le=10_000, validation_alias="BERTH_PROMISES_PER_WORKSPACE"
    )
    """So many of its queued requests may have a promised start at once; 0: none may."""
    extension_hours_max: int = Field(EXTENSION_HOURS_MAX, ge=0, le=8784, validation_alias="BERTH_EXTENSION_HOURS_MAX")
    """By so many hours in all may a lease be extended; 0: not at all."""

    login_key_hours: int = Field(KEY_HOURS, ge=1, le=KEY_HOURS_MAX, validation_alias="BERTH_LOGIN_KEY_HOURS")
    """How long a key lives that a login hands out."""
    login_seconds: float = Field(SECONDS_MAX, gt=0, le=60, validation_alias="BERTH_LOGIN_SECONDS")
    """How long those who vouch for people may take to answer."""
    aws_accounts: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_AWS_ACCOUNTS")
    """Comma-joined accounts (12 digits) whose roles may log in; none by default, and so nobody."""
    aws_roles: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_AWS_ROLES")
    """Comma-joined roles that may log in, by name or ARN, with `*`. Name only roles whose sessions others cannot name."""
    aws_region: str = Field(DEFAULT_REGION, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$", validation_alias="BERTH_AWS_REGION")
    """Whose STS is asked."""
    aws_sts_url: str = Field("", validation_alias="BERTH_AWS_STS_URL")
    """Where STS is; empty: AWS's own in that region."""
    aws_sts_hosts: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_AWS_STS_HOSTS")
    """Comma-joined further hosts of STS for which callers may have signed a request, as in `sts.amazonaws.com`."""
    aws_audience: str = Field(
        DEFAULT_AUDIENCE, pattern=r"^[!-~]+$", max_length=200, validation_alias="BERTH_AWS_AUDIENCE"
    )
    """What a signed request names in its header X-Berth-Audience: this installation."""
    oidc_issuers: Annotated[dict[str, frozenset[str]], NoDecode] = Field(
        default_factory=dict, validation_alias="BERTH_OIDC_ISSUERS"
    )
    """`issuer=audience,issuer=audience`: whose ID tokens count, made for which client; none by default."""
    development_login: bool = Field(default=False, validation_alias="BERTH_GPUDEV_DEVELOPMENT_LOGIN")
    """Let everybody in who sends the example key of AWS's documentation. Never where others can reach the API."""

    @property
    def time_rules(self) -> TimeRules:
        """How much may be promised, and how far leases may be extended."""
        return TimeRules(self.promises_per_workspace, self.extension_hours_max * 3600)

    @property
    def logins(self) -> LoginRules:
        """Who may come in without a key."""
        own = self.aws_sts_url or f"https://sts.{self.aws_region}.amazonaws.com{_chinese(self.aws_region)}"
        further = frozenset(f"https://{host}" for host in self.aws_sts_hosts)
        return LoginRules(
            sts=StsPlace(self.aws_region, own.rstrip("/"), further),
            aws=AwsRules(self.aws_accounts, self.aws_roles),
            audience=self.aws_audience,
            oidc=self.oidc_issuers,
            key_hours=self.login_key_hours,
            seconds_max=self.login_seconds,
            is_development=self.development_login,
        )

    @field_validator("aws_accounts")
    @classmethod
    def _check_accounts(cls, accounts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[0-9]{12}", account) for account in accounts):
            raise ValueError("an AWS account is 12 digits")
        return accounts

    @field_validator("aws_sts_hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if any(not re.fullmatch(r"[a-z0-9.-]+", host) for host in hosts):
            raise ValueError("write BERTH_AWS_STS_HOSTS as host,host")
        return hosts

    @field_validator("aws_sts_url")
    @classmethod
    def _check_sts(cls, url: str) -> str:
        return checked_origin(url, "BERTH_AWS_STS_URL") if url else url

    @field_validator("oidc_issuers", mode="before")
    @classmethod
    def _split_issuers(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        audiences: dict[str, set[str]] = {}
        for issuer, equals, audience in (part.strip().rpartition("=") for part in text.split(",") if part.strip()):
            if not equals or not audience:
                raise ValueError("write BERTH_OIDC_ISSUERS as issuer=audience,issuer=audience")
            audiences.setdefault(checked_address(issuer, "an OIDC issuer"), set()).add(audience)
        return audiences

    @field_validator("requests_per_key", "bad_requests_per_address")
    @classmethod
    def _check_rate(cls, text: str) -> str:
        parsed(text)
        return text

    @field_validator("kubeconfigs", mode="before")
    @classmethod
    def _split_kubeconfigs(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        pairs = [part.partition("=") for part in text.split(",") if part.strip()]
        if any(not equals for _, equals, _ in pairs):
            raise ValueError("write BERTH_KUBECONFIGS as name=path,name=path")
        return {name.strip(): Path(path.strip()) for name, _, path in pairs}

    @field_validator("cors_origins", "host_path_prefixes", "aws_accounts", "aws_roles", "aws_sts_hosts", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text


def _chinese(region: str) -> str:
    return ".cn" if region.startswith("cn-") else ""
