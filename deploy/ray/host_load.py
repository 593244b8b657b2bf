"""How busy the hosts of a deployment are, and how many there should be. This file does not import Ray."""

from __future__ import annotations

import math
import re
from typing import Any

LOAD = 0.7
"""The part of all slots that should have a job. The rest is for what comes while another host starts."""

_FIGURE = re.compile(r'^voxgate_host_(jobs|slots)\{engine="[^"]*",process="\d+"\} (\S+)$', re.MULTILINE)


def figures_of(page: str) -> dict[str, float]:
    """Return the jobs and the slots of a host, from its metrics page. An engine that starts has none."""
    found = {"jobs": 0.0, "slots": 0.0}
    for name, value in _FIGURE.findall(page):
        found[name] += float(value)
    return found


def by_load(context: Any) -> tuple[int, dict[str, Any]]:
    """Return how many hosts have the jobs of now at LOAD: an autoscaling policy of Ray Serve.

    Serve keeps the number between `min_replicas` and `max_replicas`, and waits `upscale_delay_s` and
    `downscale_delay_s` before it acts. Serve sees no requests, so the figures are those of the hosts.
    """
    figures = context.aggregated_metrics or {}
    jobs, slots = figures.get("jobs", {}), figures.get("slots", {})
    with_slots = [number for replica, number in slots.items() if number > 0 and replica in jobs]
    if not with_slots:
        return context.target_num_replicas, {}
    slots_each = sum(with_slots) / len(with_slots)
    # Rounded, or a sum of floats that is a little too large would ask for one host too many.
    return math.ceil(round(sum(jobs.values()) / (LOAD * slots_each), 6)), {}
