"""The messages on pipes about clusters: the load and the watch of a host, and the reports of a gateway's
worker to its supervisor."""

from __future__ import annotations

import msgspec

UNWATCHED_S = 15.0
"""The silence of the supervisor after which a host forgets."""
FORGOTTEN_S = 20.0
"""The time after which a lost host has forgotten, even if its machine notices the loss 4 s late."""


class HostLoad(msgspec.Struct, frozen=True):
    """The jobs of a host, its slots, and the estimated time until a new job begins."""

    jobs: int
    slots: int
    waiting_s: float


class Watched(msgspec.Struct, frozen=True, tag="watched"):
    """A message to a host, once a second: a gateway watches it. `is_first`: none did before."""

    is_first: bool


class ProcessJobs(msgspec.Struct, frozen=True, tag="process_jobs"):
    """A message to workers, once a second: all jobs of a cluster's process, and how many workers share it."""

    engine: str
    process: int
    jobs: int
    sharers: int


class ClusterNews(msgspec.Struct, frozen=True, tag="cluster_news"):
    """Worker 0's message, every few seconds: the ids of the living gateways."""

    gateways: tuple[str, ...]


class TombstonesRead(msgspec.Struct, frozen=True, tag="tombstones_read"):
    """A worker's message: it has just read what other gateways have erased."""


ClusterWord = ClusterNews | TombstonesRead
ClusterTick = Watched | ProcessJobs
