"""The metrics page as a part of the supervisor."""

from __future__ import annotations

from pathlib import Path

from proxy.http.metrics_page import ANSWER_S, MetricsPage, WorkerMetrics
from proxy.supervisor_part import SupervisorPart, SupervisorTools
from speech_engine.host.pipe_messages import MetricsQuestion, MetricsReport


def open_part(tools: SupervisorTools) -> SupervisorPart:
    async def ask_workers() -> list[WorkerMetrics]:
        return [
            WorkerMetrics(worker, generation, reply.text)
            for worker, generation, reply in await tools.ask_workers(MetricsQuestion, ANSWER_S)
            if isinstance(reply, MetricsReport)
        ]

    async def stop() -> None:
        page.stop()

    server = tools.config.server
    page = MetricsPage(
        *(server.metrics, server.workers, ask_workers, tools.figures),
        *(lambda: tools.current_config().server.hosts, Path(tools.config.data)),
    )
    return SupervisorPart(page.start, stop)
