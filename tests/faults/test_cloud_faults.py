"""Every fault of a provider, through a real server: what the client gets and pays, what the provider takes,
how often it is asked, and what the operator is told."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import httpx2
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from plugins.tone.decode import DamagedFrame, decode
from policies.price import MICRO
from proxy.errors import ErrorEnvelope
from proxy.feature_list import open_store
from tests.faults.books import Books, books
from tests.faults.cloud_table import BROKEN, OTHER, REFUSED, ROWS, WHOLE, Row, View
from tests.faults.clouds import COSTS_MICRO, ENVIRON, KINDS, Clouds, clouds
from tests.server import Server, running
from tests.sound import decoded
from tests.tables import soak

pytestmark = pytest.mark.slow

TEXT = "Hello there, world. How are you today?"
SECOND = "second"
CREDITS, CREDITS_OF_SECOND = 1, 3
"""For a character."""
AT_ONCE = 4
"""Few enough that none waits for the others' work: the fakes encode what they say."""

_CONFIG = """
[server]
default_model = "{second}/{model}"
first_audio_s = 30
{engines}
[models]
{models}
[voices.ada]
{voices}
[plans.matrix]
prices.speech = {{ credits = {credits}, per = "character" }}
prices.models.{second} = {{ credits = {more}, per = "character" }}
"""
_COSTS = "SELECT request, engine, micro_usd FROM costs ORDER BY request, attempt"
_COUNTED = ("retries", "failures", "alarms")


class Case(NamedTuple):
    """A row, without a second candidate or with one; on an engine of its own, so that no case leaves another
    its breaker or its pause."""

    row: Row
    has_second: bool

    @property
    def engine(self) -> str:
        return f"{self.row.name}-{'beside' if self.has_second else 'alone'}"

    @property
    def view(self) -> View:
        return self.row.beside if self.has_second else self.row.alone


class Heard(NamedTuple):
    """One answer, as its client has it."""

    request: str
    status: int
    engine: str
    retry_after: str | None
    audio: bytes
    is_whole: bool
    seconds: float

    def view(self, case: Case) -> View:
        if self.status != 200:
            return self.status, msgspec.json.decode(self.audio, type=ErrorEnvelope).error.code
        if not self.is_whole:
            return BROKEN if self.audio else "nothing at all"
        if (said := _said(self.audio, case.row.format)) != TEXT:
            return f"other words: {said}"
        return {case.engine: WHOLE, SECOND: OTHER}[self.engine]


class Outcome(NamedTuple):
    view: View
    micro_credits: int
    ended: str
    costs: tuple[tuple[str, int], ...]
    asked: int
    retries: dict[str, int]
    failures: dict[str, int]
    alarms: dict[str, int]


class Matrix(NamedTuple):
    heard: dict[Case, Heard]
    asked: Counter[str]
    counted: dict[str, dict[str, dict[str, int]]]
    books: Books
    costs: dict[str, tuple[tuple[str, int], ...]]

    def outcome(self, case: Case) -> Outcome:
        heard = self.heard[case]
        usage = self.books.rows[heard.request]
        assert usage.credits == self.books.spent.get(heard.request, 0)
        costs = self.costs.get(heard.request, ())
        assert usage.micro_usd == sum(micro_usd for _, micro_usd in costs)
        counted = [self.counted[name].get(case.engine, {}) for name in _COUNTED]
        asked = self.asked[case.engine]
        return Outcome(heard.view(case), usage.credits, usage.outcome, costs, asked, *counted)


ALL_CASES = [Case(row, has_second) for row in ROWS for has_second in (False, True)]
CASES = [case for case in ALL_CASES if case.row.plugin == "openai" or case.has_second == case.row.turns]
"""What a second candidate is for is the same for all plugins. The others have a row's case that tells more:
its error is on the metrics page in both. `make soak` has all."""


def _expected(case: Case) -> Outcome:
    row, view = case.row, case.view
    costs = [(case.engine, COSTS_MICRO * len(TEXT))] if row.took else []
    if view == OTHER:
        costs.append((SECOND, COSTS_MICRO * len(TEXT)))
    price = {WHOLE: CREDITS, OTHER: CREDITS_OF_SECOND}.get(str(view), 0)
    return Outcome(
        view,
        price * MICRO * len(TEXT),
        "finished" if price else "failed",
        tuple(costs),
        row.asked,
        {row.error: row.retries} if row.retries else {},
        {} if price else {row.error: 1},
        {row.error: 1} if row.is_alarm else {},
    )


@pytest.fixture(scope="module", params=[CASES, *soak((ALL_CASES,))], ids=["some", "all"])
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    """What became of all cases; some take as long as a silence may last, so they wait beside the others."""
    cases: list[Case] = request.param
    with clouds() as fakes:
        config = _config(fakes, cases)
        with running(tmp_path_factory.mktemp("clouds"), config, environ=ENVIRON) as server:
            key = server.mint_key("matrix", plan="matrix").secret
            heard = _all_heard(server, key, fakes, cases)
            counted = _counted(httpx2.get(server.metrics).text)
            asked = _asked(fakes)
        data = server.data
        yield Matrix(heard, asked, counted, books("sqlite", data), _costs(data))


def _all_heard(server: Server, key: str, fakes: Clouds, cases: list[Case]) -> dict[Case, Heard]:
    silent = [case for case in cases if case.row.is_silent]
    with ThreadPoolExecutor(len(silent)) as waiting, ThreadPoolExecutor(AT_ONCE) as working:
        asking = {
            case: (waiting if case.row.is_silent else working).submit(_ask, server, key, fakes, case)
            for case in [*silent, *(case for case in cases if not case.row.is_silent)]
        }
        return {case: future.result() for case, future in asking.items()}


def _config(fakes: Clouds, cases: list[Case]) -> str:
    engines = [fakes.engine(SECOND, "openai")]
    models = []
    voices = [f'{SECOND} = "{KINDS["openai"].voice}"']
    for case in cases:
        kind = KINDS[case.row.plugin]
        engines.append(fakes.engine(case.engine, case.row.plugin, case.row.settings))
        candidates = [f"{case.engine}/{kind.model}", *([_second()] if case.has_second else [])]
        models.append(f'"{case.engine}" = {candidates}'.replace("'", '"'))
        voices.append(f'{case.engine} = "{kind.voice}"')
    return _CONFIG.format(
        second=SECOND,
        model=KINDS["openai"].model,
        engines="\n".join(engines),
        models="\n".join(models),
        voices="\n".join(voices),
        credits=CREDITS,
        more=CREDITS_OF_SECOND,
    )


def _second() -> str:
    return f"{SECOND}/{KINDS['openai'].model}"


def _ask(server: Server, key: str, fakes: Clouds, case: Case) -> Heard:
    if case.row.faults:
        fakes.fail(case.engine, case.row.plugin, case.row.faults)
    body = {"model": case.engine, "voice": "ada", "input": TEXT, "response_format": case.row.format}
    began, audio = time.monotonic(), b""
    with (
        server.client(key, timeout=60) as client,
        client.stream("POST", "/v1/audio/speech", json=body) as answer,
    ):
        try:
            for piece in answer.iter_bytes():
                audio += piece
            is_whole = True
        except httpx2.TransportError:
            is_whole = False
        return Heard(
            answer.headers["x-request-id"],
            answer.status_code,
            answer.headers.get("x-voxgate-engine", "").partition("/")[0],
            answer.headers.get("retry-after"),
            audio,
            is_whole,
            time.monotonic() - began,
        )


def _said(audio: bytes, format_: str) -> str:
    sound = decoded(audio, format_)
    try:
        return " ".join(decode(sound.samples, sound.sample_rate_hz))
    except DamagedFrame as damage:
        return str(damage)


def _asked(fakes: Clouds) -> Counter[str]:
    """Requests for speech by engine."""
    seen = [each for plugin in KINDS for each in fakes.report(plugin).requests if each.method == "POST"]
    speech = tuple(kind.speech for kind in KINDS.values())
    return Counter(each.path.split("/")[2] for each in seen if any(part in each.path for part in speech))


def _counted(page: str) -> dict[str, dict[str, dict[str, int]]]:
    """Counter → engine → error → how many."""
    found: dict[str, dict[str, dict[str, int]]] = {name: {} for name in _COUNTED}
    for family in text_string_to_metric_families(page):
        name = family.name.removeprefix("voxgate_engine_")
        for sample in family.samples if name in found else ():
            engine = found[name].setdefault(sample.labels["engine"], {})
            engine[sample.labels["error"]] = int(sample.value)
    return found


def _costs(data: Path) -> dict[str, tuple[tuple[str, int], ...]]:
    async def read() -> dict[str, tuple[tuple[str, int], ...]]:
        async with open_store("sqlite", data) as store:
            rows = await store.read(_COSTS)
        return {
            request: tuple((row["engine"], row["micro_usd"]) for row in those)
            for request, those in groupby(rows, lambda row: row["request"])
        }

    return asyncio.run(read())


def test_each_fault_has_its_outcome(matrix: Matrix, subtests: pytest.Subtests) -> None:
    for case, heard in matrix.heard.items():
        with subtests.test(case.engine):
            assert matrix.outcome(case) == _expected(case)
            assert heard.seconds < case.row.within_s
            if heard.status != 200:
                assert (heard.retry_after is None) == (case.view == REFUSED)


def test_the_books_agree(matrix: Matrix) -> None:
    assert matrix.books.verdict.is_clean, matrix.books.verdict
    assert len(matrix.books.rows) == len(matrix.heard)
    assert set(matrix.costs) <= set(matrix.books.rows)


def test_every_fault_is_met_by_every_plugin() -> None:
    for plugin in KINDS:
        met = {fault.name for row in ROWS if row.plugin == plugin for fault in row.faults}
        assert met == {
            *("429", "5xx", "hang_before", "hang_after", "truncated", "garbage", "wrong_codec", "slow"),
            *("error_in_200", "error_midstream"),
        }
