"""How tasks go on after failures, and what the log has of a database that is away: all of them, by name."""

import ast
import asyncio
import importlib
from collections.abc import Iterator
from pathlib import Path

from structlog.testing import capture_logs
from structlog.typing import EventDict

import proxy
from proxy.queue import tasks
from proxy.storage.store import StorageUnreachable
from proxy.telemetry.background import RepeatingTask
from proxy.telemetry.metrics import Metrics
from tests.speech_engine.host.simulated_time import simulated
from tests.tables import each_row

ROOT = Path(proxy.__file__).parent.parent
_NO_CALLERS = ("background.py", "tasks.py")
AWAY = "the database is away, says the test"

TIDIES = "it only tidies"
ALL = {
    "alerts": (30.0, "an alert"),
    "arrears": (0.0, "arrears of money"),
    "bills of trainings": (5.0, "arrears of money"),
    "engines of workers": (5.0, "a renewal"),
    "erasures of older versions": (60.0, "tombstones"),
    "erasures of other servers": (1.0, "tombstones"),
    "holds renewal": (6.0, "a renewal of leases"),
    "introductions of engines elsewhere": (1.0, "machines that cost money"),
    "look at a fetch": (1.0, "what is shown of a fetch"),
    "look at other machines": (5.0, "the lease of who leads"),
    "note of voices that spoke": (60.0, "arrears in memory"),
    "open streams": (0.0, "streams of keys that are refused"),
    "rates of what is heard": (60.0, "arrears in memory"),
    "refusals": (5.0, "arrears in memory"),
    "renewal of the machine": (5.0, "a renewal"),
    "runs elsewhere": (5.0, "machines that cost money"),
    "verdicts on texts": (0.0, "arrears in memory, before another host dies"),
    # Kinds of tasks in a table: all have leases.
    "clones at providers": (0.1, "leases"),
    "erasures that are not complete": (0.1, "leases"),
    "files of jobs": (0.1, "leases"),
    "hearings": (0.1, "leases"),
    "mail": (0.1, "leases"),
    "orders": (0.1, "leases"),
    "paid months": (0.1, "leases"),
    "payment events": (0.1, "leases"),
    "steps of jobs": (0.1, "leases"),
    "trainings": (0.1, "leases"),
    "webhooks": (0.1, "leases"),
    # Those that only tidy.
    "deletion of old deliveries": (3600.0, TIDIES),
    "deletion of old history": (600.0, TIDIES),
    "deletion of old jobs": (600.0, TIDIES),
    "deletion of old mails": (3600.0, TIDIES),
    "deletion of old payment events": (3600.0, TIDIES),
    "deletion of old sign-ins": (3600.0, TIDIES),
    "deletion of old usage": (3600.0, TIDIES),
    "erasure of unused voices": (86_400.0, TIDIES),
    "jobs without a writer": (15.0, TIDIES),
    "look for samples": (5.0, TIDIES),
    "samples": (1.0, TIDIES),
    "signatures of erasures": (3600.0, TIDIES),
    "sweep of kept answers": (3600.0, TIDIES),
    "sweep of the audio cache": (3600.0, TIDIES),
    "tidying of the vault": (3600.0, TIDIES),
}
"""Name → the pause after a turn, and why a failure leaves it as it is, if it does."""


def test_all_tasks_are_listed_with_their_pauses_and_whether_they_only_tidy() -> None:
    found = [each for file in ROOT.glob("proxy/**/*.py") for each in (*_repeated(file), *_kinds(file))]
    assert {*found} == {(name, (pause_s, why == TIDIES)) for name, (pause_s, why) in ALL.items()}


def _repeated(file: Path) -> Iterator[tuple[str, tuple[float, bool]]]:
    """The calls of `repeat` and `RepeatingTask`, also by `partial`, in a file."""
    module, text = ".".join(file.relative_to(ROOT).with_suffix("").parts), file.read_text()
    if ("import repeat" not in text and "RepeatingTask" not in text) or file.name in _NO_CALLERS:
        return
    for call in ast.walk(ast.parse(text)):
        if not isinstance(call, ast.Call):
            continue
        called = [each.id for each in (call.func, *call.args[:1]) if isinstance(each, ast.Name)]
        if called[:1] == ["partial"]:
            called, arguments = called[1:], call.args[1:]
        else:
            called, arguments = called[:1], call.args
        if called and called[0] in ("repeat", "RepeatingTask"):
            name, _turn, pause, *_ = arguments
            tidies = any(each.arg == "tidies" for each in call.keywords)
            yield _text(name, file), (_number(pause, module), tidies)


def _kinds(file: Path) -> Iterator[tuple[str, tuple[float, bool]]]:
    """The kinds of tasks in a file. All are repeated by `TaskKind.run`."""
    if "(TaskKind[" in (text := file.read_text()):
        for each in ast.walk(ast.parse(text)):
            if isinstance(each, ast.ClassDef) and "TaskKind[" in "".join(map(ast.unparse, each.bases)):
                (name,) = [line.value for line in each.body if ast.unparse(line).startswith("name = ")]  # type: ignore[attr-defined]
                yield str(name.value), (tasks._PAUSE_S, False)


def _text(name: ast.expr, file: Path) -> str:
    if isinstance(name, ast.Constant):
        return str(name.value)
    assert isinstance(name, ast.Name)
    (value,) = [
        each.value.value
        for each in ast.walk(ast.parse(file.read_text()))
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == name.id
        if isinstance(each.value, ast.Constant)
    ]
    return str(value)


def _number(pause: ast.expr, module: str) -> float:
    if isinstance(pause, ast.Constant):
        return float(str(pause.value))
    assert isinstance(pause, ast.Name)
    own = vars(importlib.import_module(module))
    return float(own[pause.id.upper() if pause.id == "every_s" else pause.id])


class Away:
    """A database that is away at some times of the loop. `turns` are the times of a task's turns."""

    def __init__(self, *outages: tuple[float, float]) -> None:
        self.outages = outages
        self.turns: list[float] = []
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def turn(self) -> None:
        now = self._loop.time() - self._began
        self.turns.append(round(now, 3))
        if any(begins <= now < ends for begins, ends in self.outages):
            raise StorageUnreachable(AWAY)

    async def for_s(self, seconds: float, pause_s: float, *, tidies: bool = False) -> list[EventDict]:
        """What the log has of so many seconds."""
        with capture_logs() as logs:
            repeated = RepeatingTask("a task", self.turn, pause_s, Metrics(), tidies=tidies)
            await asyncio.sleep(seconds)
            await repeated.aclose()
        return [line for line in logs if line["event"].startswith("background.turn.")]


@simulated
async def test_what_only_tidies_waits_twice_as_long_after_each_failure_and_then_as_ever() -> None:
    database = Away((0.0, 150.0), (700.0, 760.0))
    await database.for_s(1500.0, 600.0, tidies=True)
    assert database.turns == [0, 1, 3, 7, 15, 31, 61, 91, 121, 151, 751, 752, 754, 758, 766, 1366]


@each_row(
    ["pause_s", "waits_s"],
    [(0.0, 0.5), (0.1, 0.5), (1.0, 1.0), (5.0, 5.0), (60.0, 60.0)],
)
@simulated
async def test_another_keeps_its_pause_of_half_a_second_at_least(pause_s: float, waits_s: float) -> None:
    database = Away((0.0, 1000.0))
    await database.for_s(121.0, pause_s)
    assert database.turns[:3] == [0.0, waits_s, 2 * waits_s]


@simulated
async def test_an_hour_without_a_database_is_a_line_a_minute_and_one_when_it_is_back() -> None:
    lines = await Away((0.0, 3600.0)).for_s(3700.0, 0.1)
    failed = [line for line in lines if line["event"] == "background.turn.failed"]
    assert [line["failures"] for line in failed] == [1, *[120] * 59]
    assert {(line["log_level"], line["reason"], line["task"]) for line in failed} == {
        ("warning", AWAY, "a task")
    }
    assert not any("exc_info" in line for line in lines)
    assert [line["event"] for line in lines[60:]] == ["background.turn.recovered"]
    assert lines[-1]["failures"] == 119


@simulated
async def test_three_outages_of_two_seconds_are_two_lines_for_each_kind_of_task() -> None:
    lines = await Away((5.0, 7.0), (15.0, 17.0), (25.0, 27.0)).for_s(40.0, 0.1)
    assert [line["event"] for line in lines] == ["background.turn.failed", "background.turn.recovered"]


@simulated
async def test_another_fault_in_an_outage_has_its_own_line_and_its_traceback() -> None:
    database, seen = Away((0.0, 30.0)), 0

    async def turn() -> None:
        nonlocal seen
        seen += 1
        if seen == 3:
            raise ZeroDivisionError("what a user sent")
        await database.turn()

    with capture_logs() as logs:
        repeated = RepeatingTask("a task", turn, 1.0, Metrics())
        await asyncio.sleep(20)
        await repeated.aclose()
    assert [(line["log_level"], line["failures"]) for line in logs] == [("warning", 1), ("error", 2)]
    assert type(logs[1]["exc_info"]).__name__ == "ZeroDivisionError"
    assert "what a user sent" not in repr(logs)
