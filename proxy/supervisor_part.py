"""A part of the supervisor: what runs beside its workers, such as the hosts of engines.

It is the `open_part` of a module `supervisor`, in the folder of a feature or in `proxy/hosts`. That module is
imported only if the configuration asks for it: see `SUPERVISOR_PARTS` in `proxy/feature_list.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import NamedTuple

from prometheus_client.core import Metric

from proxy.config.config_toml import Config
from proxy.engines.registry import Registry
from speech_engine.host.pipe_messages import Message, Question, Reply, WorkerQuestion

WorkerReply = tuple[int, int, Reply]
"""A reply, behind the number of its worker and the generation of that worker."""

NO_HOST = (
    "has no host: it runs in the server, is set wrongly, or lacks its environment; voxgate check says which"
)


class SupervisorTools(NamedTuple):
    """What a part gets. `config` is that of the start, `machine` is the id of this start, and `folder` has
    the sockets. `ask_workers` asks those that are ready, for so many seconds. What `run_soon` gets
    runs until the server ends, and its failure is logged. `figures` are of all parts."""

    config: Config
    current_config: Callable[[], Config]
    registry: Registry
    folder: Path
    machine: str
    send_to: Callable[[int, Message], None]
    send_to_all: Callable[[Message], None]
    ask_workers: Callable[[Callable[[int], Question], float], Awaitable[list[WorkerReply]]]
    run_soon: Callable[[Coroutine[None, None, object]], None]
    figures: Callable[[], Iterable[Metric]]


class SupervisorPart(NamedTuple):
    """What an `open_part` returns.

    `start_tasks` may raise CannotServe. If the task that it returns ends, the server ends. A worker gets the
    `worker_messages` at its start. `answer_worker` answers a question, now or later, and returns whether it
    is for this part. `note_worker_end` releases what a worker had. Another thread calls `part_metrics`.
    `stop_part` is called after the end of all workers.
    """

    start_tasks: Callable[[], asyncio.Task[None] | None]
    stop_part: Callable[[], Awaitable[None]]
    worker_messages: Callable[[], Iterable[Message]] = tuple
    answer_worker: Callable[[int, WorkerQuestion], bool] = lambda _worker, _question: False
    note_worker_end: Callable[[int], None] = lambda _worker: None
    part_metrics: Callable[[], Iterable[Metric]] = tuple
