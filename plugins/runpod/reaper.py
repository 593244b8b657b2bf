"""A pure policy: which pods must be terminated. A pod costs money until this server terminates it.

Pods of another owner or of another deployment are never terminated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Reason = Literal["idle", "deadline", "broken"]

BROKEN = frozenset({"EXITED", "ERROR"})
_KEY_DIGITS = 20


class SeenPod(NamedTuple):
    """A pod as the provider lists it. `created_at` is in seconds since 1970."""

    id: str
    name: str
    status: str
    created_at: float


class ReaperRules(NamedTuple):
    """A pod ends after `idle_s` without work, and in any case `deadline_s` after its creation."""

    deployment: str
    idle_s: float
    deadline_s: float


class Termination(NamedTuple):
    id: str
    reason: Reason


def pod_name(deployment: str, digest: str) -> str:
    return f"voxgate-{deployment}-{digest[:_KEY_DIGITS]}"


def is_ours(name: str, deployment: str) -> bool:
    return re.fullmatch(rf"voxgate-{re.escape(deployment)}-[0-9a-f]{{{_KEY_DIGITS}}}", name) is not None


def last_needed(
    before: Mapping[str, float], pods: Iterable[SeenPod], used: Mapping[str, float]
) -> dict[str, float]:
    """Return the time of each pod's last work: the latest of `used`, which is known now, and `before`.

    For a pod without any known work, it is the time of its creation.
    """
    return {pod.id: max(used.get(pod.id, pod.created_at), before.get(pod.id, pod.created_at)) for pod in pods}


def to_terminate(
    pods: Iterable[SeenPod], needed: Mapping[str, float], now: float, rules: ReaperRules
) -> tuple[Termination, ...]:
    """Return the pods to terminate, each with its reason. `needed` comes from `last_needed`."""
    found: list[Termination] = []
    for pod in pods:
        if not is_ours(pod.name, rules.deployment) or pod.status == "TERMINATED":
            continue
        if pod.status in BROKEN:
            found.append(Termination(pod.id, "broken"))
        elif now >= pod.created_at + rules.deadline_s:
            found.append(Termination(pod.id, "deadline"))
        elif now >= needed.get(pod.id, pod.created_at) + rules.idle_s:
            found.append(Termination(pod.id, "idle"))
    return tuple(found)
