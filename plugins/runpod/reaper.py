"""A pure policy: which pods must be terminated. A pod costs money until this server terminates it.

Pods of another owner or of another deployment are never terminated.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from plugins.runpod.cloud import Pod
from plugins.runpod.settings import PodSettings

Reason = Literal["idle", "deadline", "broken"]

BROKEN = frozenset({"EXITED", "ERROR"})
_DIGEST_DIGITS = 20


def pod_name(deployment: str, digest: str) -> str:
    return f"voxgate-{deployment}-{digest[:_DIGEST_DIGITS]}"


def is_ours(name: str, deployment: str) -> bool:
    return re.fullmatch(rf"voxgate-{re.escape(deployment)}-[0-9a-f]{{{_DIGEST_DIGITS}}}", name) is not None


def last_needed(
    before: Mapping[str, float], pods: Iterable[Pod], used: Mapping[str, float]
) -> dict[str, float]:
    """Return the time of each pod's last work: the latest of `used`, which is known now, and `before`.

    For a pod without any known work, it is the time of its creation.
    """
    return {pod.id: max(used.get(pod.id, pod.made_at), before.get(pod.id, pod.made_at)) for pod in pods}


def to_terminate(
    pods: Iterable[Pod], needed: Mapping[str, float], now: float, rules: PodSettings
) -> dict[str, Reason]:
    """Return the ids of the pods to terminate, each with its reason. `needed` comes from `last_needed`.

    A pod ends after `idle_s` without work, and in any case `deadline_s` after its creation.
    """
    found: dict[str, Reason] = {}
    for pod in pods:
        if not is_ours(pod.name, rules.deployment) or pod.status == "TERMINATED":
            continue
        if pod.status in BROKEN:
            found[pod.id] = "broken"
        elif now >= pod.made_at + rules.deadline_s:
            found[pod.id] = "deadline"
        elif now >= needed.get(pod.id, pod.made_at) + rules.idle_s:
            found[pod.id] = "idle"
    return found
