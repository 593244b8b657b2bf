"""Front-ends: every installed one opened, a broken one left out alone, and texts prepared off the loop."""

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.speech.front_ends import FrontEnds, open_front_ends
from speech_engine import Context, EngineFailed, Hosted, Plugin, Segment
from speech_engine.plugin import Create, Missing


class NoSettings(msgspec.Struct, frozen=True):
    """There is nothing to set."""


class Witness:
    """Says in which thread it was asked, and in which language."""

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        return (Segment(f"{threading.current_thread().name} {language} {dict(lexicon)}", 0, len(text)),)


@asynccontextmanager
async def witness(_name: str, _settings: msgspec.Struct, _context: Context) -> AsyncIterator[Witness]:
    yield Witness()


@asynccontextmanager
async def broken(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Witness]:
    yield _without_a_dictionary()


def _without_a_dictionary() -> Witness:
    raise OSError("no dictionary")


def plugins(**by_name: Create[Any] | Hosted) -> Registry:
    made = {
        ("front_end", name): Plugin(kind="front_end", name=name, settings=NoSettings, create=create)
        for name, create in by_name.items()
    }
    return Registry(made, [])


async def prepared(
    front_ends: FrontEnds, name: str, text: str, language: str, *, is_short: bool = True
) -> tuple[Segment, ...]:
    return await front_ends.use(name, lambda prepare: prepare(text, language, {}), is_short=is_short)


async def test_the_installed_front_end_cuts_sentences() -> None:
    async with open_front_ends(registry.load()) as front_ends:
        segments = await prepared(front_ends, "plain", "One. Two.", "en")
    assert [segment.spoken for segment in segments] == ["One.", "Two."]


async def test_a_text_is_prepared_in_another_thread_with_its_language() -> None:
    async with open_front_ends(plugins(witness=witness)) as front_ends:
        (segment,) = await prepared(front_ends, "witness", "Hi.", "pt-BR")
    thread, rest = segment.spoken.split(" ", 1)
    assert rest == "pt-BR {}"
    assert thread != threading.current_thread().name


async def test_short_work_of_a_quick_front_end_needs_no_thread() -> None:
    quick = type("Quick", (Witness,), {"is_quick": True})

    @asynccontextmanager
    async def create(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Witness]:
        yield quick()

    async with open_front_ends(plugins(quick=create)) as front_ends:
        (short,) = await prepared(front_ends, "quick", "Hi.", "en")
        (long,) = await prepared(front_ends, "quick", "Hi.", "en", is_short=False)
    here = threading.current_thread().name
    assert short.spoken == f"{here} en {{}}"
    assert not long.spoken.startswith(here)


async def test_a_front_end_that_cannot_start_is_left_out_alone() -> None:
    hosted = Hosted("some.module")
    async with open_front_ends(plugins(broken=broken, hosted=hosted, witness=witness)) as front_ends:
        assert await prepared(front_ends, "witness", "Hi.", "en")
        assert list(front_ends._by_name) == ["witness"]
        with pytest.raises(KeyError):
            await prepared(front_ends, "broken", "Hi.", "en")


class Needy(msgspec.Struct, frozen=True):
    """Cannot be made without being told."""

    dictionary: str


async def test_a_front_end_that_needs_settings_or_breaks_on_a_text_takes_nobody_along() -> None:
    class Breaking:
        def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
            raise ZeroDivisionError(text)

    @asynccontextmanager
    async def breaking(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Breaking]:
        yield Breaking()

    found = plugins(breaking=breaking, witness=witness)
    needy = Plugin(kind="front_end", name="needy", settings=Needy, create=witness)
    registry_ = Registry(
        {
            **{("front_end", n): p for n, p in found.plugins("front_end").items()},
            ("front_end", "needy"): needy,
        },
        [],
    )
    async with open_front_ends(registry_) as front_ends:
        assert list(front_ends._by_name) == ["breaking", "witness"]
        with pytest.raises(EngineFailed) as failed:
            await prepared(front_ends, "breaking", "Canary.", "en")
    assert "Canary" not in str(failed.value)


async def test_a_routed_front_end_is_warm_when_the_server_is_ready_and_others_are_not() -> None:
    class Slow:
        def __init__(self) -> None:
            self.is_warm = False

        def warm(self) -> None:
            self.is_warm = True

        def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
            return (Segment(f"{text} {self.is_warm}", 0, len(text)),)

    @asynccontextmanager
    async def slow(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Slow]:
        yield Slow()

    async with open_front_ends(plugins(used=slow, idle=slow), routed={"used"}) as front_ends:
        (used,) = await prepared(front_ends, "used", "Hi.", "en")
        (idle,) = await prepared(front_ends, "idle", "Hi.", "en")
    assert (used.spoken, idle.spoken) == ("Hi. True", "Hi. False")


async def test_a_front_end_that_cannot_get_warm_serves_all_the_same() -> None:
    class Cold(Witness):
        def warm(self) -> None:
            raise OSError("no dictionary")

    @asynccontextmanager
    async def cold(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Cold]:
        yield Cold()

    with capture_logs() as logs:
        async with open_front_ends(plugins(cold=cold), routed={"cold"}) as front_ends:
            assert await prepared(front_ends, "cold", "Hi.", "en")
    assert [log["event"] for log in logs] == ["front_end.warm.failed"]


@pytest.mark.parametrize(("routed", "events"), [((), []), (("needy",), ["plugin.start.refused"])])
async def test_a_front_end_that_lacks_something_is_told_of_only_where_it_is_asked_for(
    routed: tuple[str, ...], events: list[str]
) -> None:
    lacking = (Missing("the library x", "install it"),)
    needy = Plugin(
        kind="front_end", name="needy", settings=NoSettings, create=witness, missing=lambda _: lacking
    )
    with capture_logs() as logs:
        async with open_front_ends(
            Registry({("front_end", "needy"): needy}, []), routed=routed
        ) as front_ends:
            assert not front_ends._by_name
    assert [log["event"] for log in logs] == events
