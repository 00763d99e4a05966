"""The environment of the API process, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.auth.rates import BAD_PER_ADDRESS, PER_KEY, parsed
from api.logs import LogFormat


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
    host_path_prefixes: Annotated[tuple[str, ...], NoDecode] = Field((), validation_alias="BERTH_HOST_PATH_PREFIXES")
    """Comma-joined folders of the nodes under which jobs may mount; none by default."""
    requests_per_key: str = Field(PER_KEY, validation_alias="BERTH_API_REQUESTS_PER_KEY")
    """How often one key may ask this process, as in `6000/minute`; empty: as often as it likes."""
    bad_requests_per_address: str = Field(BAD_PER_ADDRESS, validation_alias="BERTH_API_BAD_REQUESTS_PER_ADDRESS")
    """How often one address may ask with bad credentials; above it the answer is 429 rather than 401."""
    ready_seconds: float = Field(15.0, ge=0, validation_alias="BERTH_API_READY_SECONDS")
    """How long the request for a new workspace, durable at once, waits for it to be made."""
    shutdown_seconds: int = Field(20, ge=0, validation_alias="BERTH_API_SHUTDOWN_SECONDS")
    """How long requests under way may take to end once the process is told to stop."""

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

    @field_validator("cors_origins", "host_path_prefixes", mode="before")
    @classmethod
    def _split(cls, text: object) -> object:
        return tuple(part.strip() for part in text.split(",") if part.strip()) if isinstance(text, str) else text
