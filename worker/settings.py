"""The environment, read once. Every setting has its unit and its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from delivery.temporal import TemporalAddress
from domain.failures import InvalidRequest


class WorkerSettings(BaseSettings):
    """Settings of every worker process."""

    model_config = SettingsConfigDict(env_prefix="", extra="ignore")

    database_url: str = Field(description="the ledger: postgresql://…")
    temporal_address: str = Field(default="127.0.0.1:7233", description="host:port of Temporal's frontend")
    temporal_namespace: str = Field(default="default", description="Temporal namespace; one Berth installation each")
    berth_kubeconfigs: str = Field(default="", description="clusters, as name=path,name=path")
    berth_metrics_host: str = Field(default="127.0.0.1", description="where /metrics and /readyz listen")
    berth_metrics_port: int = Field(default=0, description="port of /metrics and /readyz; 0: none")
    berth_sdk_metrics_port: int = Field(default=0, description="port of the Temporal SDK's own metrics; 0: none")
    berth_log_format: Literal["json", "text"] = Field(default="text", description="json for machines, text for people")
    berth_teardown_patience_seconds: float = Field(
        default=90, description="how long pods may take to go before their node counts as stuck"
    )
    berth_github_url: str = Field(
        default="https://github.com",
        pattern=r"^(https://\w|http://(127\.0\.0\.1|localhost)(:|/|$))[^\s?#@]*$",
        description="where people's public keys are: this, /NAME.keys behind it",
    )
    berth_secrets_keys: str = Field(
        default="", repr=False, description="keys that open what is sealed in the ledger, comma-joined; the first seals"
    )
    berth_storage_class: str = Field(default="", description="of disks' volumes; empty: each cluster's default one")
    berth_recovery_clean_seconds: int = Field(
        default=600, ge=1, description="how long readings must be clean before a GPU that had a fault is used again"
    )
    berth_node_name: str = Field(default="", description="node agents: the node that this process runs on")
    berth_sample_seconds: float = Field(
        default=10, ge=0.1, le=10, description="node agents: how often the GPUs are read; coverage counts every 10 s"
    )
    berth_send_seconds: float = Field(default=30, ge=0.1, description="node agents: how often samples are sent")
    berth_buffer_seconds: float = Field(
        default=3600, ge=60, description="node agents: how much is kept while the ledger is away; then the oldest goes"
    )
    berth_dcgm_url: str = Field(
        default="",
        pattern=r"^(https?://\S+)?$",
        description="node agents: /metrics of this node's DCGM exporter, for what NVML does not say; empty: none",
    )

    @property
    def temporal(self) -> TemporalAddress:
        """Where Temporal is."""
        return TemporalAddress(self.temporal_address, self.temporal_namespace)

    def kubeconfig(self, cluster: str) -> Path:
        """The kubeconfig file of a cluster, or InvalidRequest when it is not configured."""
        pairs = dict(pair.split("=", 1) for pair in self.berth_kubeconfigs.split(",") if "=" in pair)
        if cluster not in pairs:
            raise InvalidRequest(f"BERTH_KUBECONFIGS names no cluster {cluster!r}; write {cluster}=/path/to/kubeconfig")
        return Path(pairs[cluster])
