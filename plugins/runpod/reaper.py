"""Which pods must go: a pure policy. Their GPU bills until somebody terminates them, and nobody else does.

A pod of another owner, or of another deployment of ours, is never touched.
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
    """`idle_s` without work, and `deadline_s` whatever it does, is the longest that a pod may live."""

    deployment: str
    idle_s: float
    deadline_s: float


class Doomed(NamedTuple):
    id: str
    reason: Reason


def pod_name(deployment: str, digest: str) -> str:
    """Return the name of the pod that a piece of work with this digest had made."""
    return f"voxgate-{deployment}-{digest[:_KEY_DIGITS]}"


def is_ours(name: str, deployment: str) -> bool:
    """Tell whether a pod's name is one that this deployment gives."""
    return re.fullmatch(rf"voxgate-{re.escape(deployment)}-[0-9a-f]{{{_KEY_DIGITS}}}", name) is not None


def last_needed(
    before: Mapping[str, float], pods: Iterable[SeenPod], used: Mapping[str, float]
) -> dict[str, float]:
    """Return when each pod was needed last: when it was last `used`, as far as that is known now and was
    `before`. One that was never seen with work has not been needed since it was made."""
    return {pod.id: max(used.get(pod.id, pod.created_at), before.get(pod.id, pod.created_at)) for pod in pods}


def doomed(
    pods: Iterable[SeenPod], needed: Mapping[str, float], now: float, rules: ReaperRules
) -> tuple[Doomed, ...]:
    """Return the pods to terminate, each with the reason. `needed` is as `last_needed` says."""
    found: list[Doomed] = []
    for pod in pods:
        if not is_ours(pod.name, rules.deployment) or pod.status == "TERMINATED":
            continue
        if pod.status in BROKEN:
            found.append(Doomed(pod.id, "broken"))
        elif now >= pod.created_at + rules.deadline_s:
            found.append(Doomed(pod.id, "deadline"))
        elif now >= needed.get(pod.id, pod.created_at) + rules.idle_s:
            found.append(Doomed(pod.id, "idle"))
    return tuple(found)
