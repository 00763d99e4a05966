"""What Prometheus is told about requests: how many, how long, by dialect, route template and status; never by raw path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.operations.log_streams import LogStreams

LATENCY_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)


class Metrics:
    """The metrics of one process."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "berth_api_requests_total",
            "Requests answered.",
            ("dialect", "method", "route", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "berth_api_request_seconds",
            "Time from the request's head to the answer's end.",
            ("dialect", "method", "route"),
            buckets=LATENCY_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = Gauge("berth_api_requests_in_flight", "Requests being answered.", registry=self.registry)
        self._streams_ended = Counter(
            "berth_api_log_streams_ended_total", "Log streams that ended.", ("code",), registry=self.registry
        )

    def answered(self, dialect: str, method: str, route: str, code: int, seconds: float) -> None:
        """Count one request."""
        self._requests.labels(dialect, method, route, str(code)).inc()
        self._seconds.labels(dialect, method, route).observe(seconds)

    def stream_ended(self, code: int) -> None:
        """Count one log stream, by the code that it was closed with."""
        self._streams_ended.labels(str(code)).inc()

    def watch_streams(self, streams: Callable[[], LogStreams]) -> None:
        """How many follow logs, and how many pods are read for them."""
        told = Gauge("berth_api_log_readers", "Clients that follow a log.", registry=self.registry)
        told.set_function(lambda: streams().readers)
        read = Gauge("berth_api_log_streams", "Pods whose log is being read.", registry=self.registry)
        read.set_function(lambda: streams().open_streams)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
