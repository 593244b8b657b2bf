"""Hosts of one engine as a Ray Serve application. README.md says how to deploy it.

Ray Serve places, restarts and scales the hosts. Their sound does not pass through Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from host_load import by_load
from host_process import ANSWER_S, RayHost
from ray.serve import deployment
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

SPARE_S = 15.0
"""More than `drain_s`, until Serve kills a replica that should end."""


class EngineHost(RayHost):
    """A replica, with the methods that Serve calls."""

    def __init__(self, engine: str, drain_s: float) -> None:
        super().__init__(engine, drain_s)
        self.wait_until_ready()

    check_health = RayHost.check
    record_autoscaling_stats = RayHost.figures

    def __del__(self) -> None:
        """Serve waits for this before it ends a replica, also one whose start has failed."""
        if hasattr(self, "_process"):
            self.end()


def app(args: Mapping[str, Any]) -> Any:
    """Return the application of these arguments, which are texts where they come from a command line."""
    return _application(**args)


def _application(
    engine: str,
    num_gpus: float = 1,
    num_cpus: float = 1,
    drain_s: float = 30,
    **scaling: Any,
) -> Any:
    hosts = deployment(
        EngineHost,
        name=engine,
        ray_actor_options={"num_gpus": float(num_gpus), "num_cpus": float(num_cpus)},
        autoscaling_config=AutoscalingConfig(policy=AutoscalingPolicy(policy_function=by_load), **scaling),
        health_check_period_s=2,
        health_check_timeout_s=3 * ANSWER_S,
        graceful_shutdown_wait_loop_s=0.1,
        graceful_shutdown_timeout_s=float(drain_s) + SPARE_S,
    )
    return hosts.bind(engine, float(drain_s))
