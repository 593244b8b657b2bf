"""Front-ends: every installed one opened, a broken one left out alone, and texts prepared off the loop."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import msgspec
import pytest

from proxy.engines import registry
from proxy.engines.registry import Registry
from proxy.text import open_front_ends
from speech_engine import Context, EngineFailed, Hosted, Plugin, Segment
from speech_engine.plugin import Create


class NoSettings(msgspec.Struct, frozen=True):
    """There is nothing to set."""


class Witness:
    """Says in which thread it was asked, and in which language."""

    def prepare(self, text: str, language: str, lexicon: Mapping[str, str]) -> tuple[Segment, ...]:
        return (Segment(f"{threading.current_thread().name} {language} {dict(lexicon)}", 0, len(text)),)


@asynccontextmanager
async def witness(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Witness]:
    yield Witness()


@asynccontextmanager
async def broken(_name: str, _settings: NoSettings, _context: Context) -> AsyncIterator[Witness]:
    yield _without_a_dictionary()


def _without_a_dictionary() -> Witness:
    raise OSError("no dictionary")


def plugins(**by_name: Create | Hosted) -> Registry:
    made = {
        ("front_end", name): Plugin(kind="front_end", name=name, settings=NoSettings, create=create)
        for name, create in by_name.items()
    }
    return Registry(made, [])


async def test_the_installed_front_end_cuts_sentences() -> None:
    async with open_front_ends(registry.load()) as front_ends:
        prepared = await front_ends.prepare("plain", "One. Two.", "en")
    assert [segment.spoken for segment in prepared] == ["One.", "Two."]


async def test_a_text_is_prepared_in_another_thread_with_its_language() -> None:
    async with open_front_ends(plugins(witness=witness)) as front_ends:
        (segment,) = await front_ends.prepare("witness", "Hi.", "pt-BR")
    thread, rest = segment.spoken.split(" ", 1)
    assert rest == "pt-BR {}"
    assert thread != threading.current_thread().name


async def test_a_front_end_that_cannot_start_is_left_out_alone() -> None:
    hosted = Hosted("some.module")
    async with open_front_ends(plugins(broken=broken, hosted=hosted, witness=witness)) as front_ends:
        assert await front_ends.prepare("witness", "Hi.", "en")
        assert repr(front_ends) == "<FrontEnds witness>"
        with pytest.raises(KeyError):
            await front_ends.prepare("broken", "Hi.", "en")


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
        assert repr(front_ends) == "<FrontEnds breaking, witness>"
        with pytest.raises(EngineFailed) as failed:
            await front_ends.prepare("breaking", "Canary.", "en")
    assert "Canary" not in str(failed.value)
