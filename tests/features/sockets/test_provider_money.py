"""Interruptions at random moments, where a provider behind HTTP bills each text that it gets: what the socket
says, the rows of usage and the ledger are the charge of the sound that the client got."""

import itertools
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from proxy.storage.usage import UsageRow
from tests.faults.books import Books, books
from tests.faults.clouds import ENVIRON, KINDS, Clouds, Plugin, clouds
from tests.features.sockets.native import Spoken, talking
from tests.features.sockets.utterances.charges import SENTENCE, check_rows
from tests.features.sockets.utterances.rig import RATE_HZ
from tests.server import Server, running
from tests.tables import soak
from tests.waiting import until

PRICES = ("second", "character")
PROVIDERS: tuple[Plugin, ...] = ("openai", "minimax")
_PLAN = """
[plans.{per}]
allowance = 1000000
prices.speech = {{ credits = 1, per = "{per}" }}
"""


class Site(NamedTuple):
    server: Server
    clouds: Clouds
    keys: dict[str, str]


class Turn(NamedTuple):
    """An utterance that was interrupted. Its sentences have a word that no other one has."""

    utterance: str
    sentence: str
    spoken: Spoken


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with clouds() as fakes:
        config = f'[server]\ndefault_model = "openai/{KINDS["openai"].model}"\n[voices.ada]\n'
        config += "".join(f'{name} = "{KINDS[name].voice}"\n' for name in PROVIDERS)
        config += "".join(fakes.engine(name, name) for name in PROVIDERS)
        config += "".join(_PLAN.format(per=per) for per in PRICES)
        with running(tmp_path_factory.mktemp("providers"), config, environ=ENVIRON) as server:
            yield Site(server, fakes, {per: server.mint_key(per, plan=per).secret for per in PRICES})


_words = map("".join, itertools.product("bdfghklmnprstvz", repeat=4))


def _interrupted(site: Site, provider: Plugin, per: str, moments_s: list[float]) -> list[Turn]:
    """Interrupt one utterance after the other, each so long after its text."""
    turns = list[Turn]()
    voice: dict[str, Any] = {"model": f"{provider}/{KINDS[provider].model}", "voice": "ada"}
    with talking(site.server.url, site.keys[per], **voice) as talker:
        for after_s in moments_s:
            sentence = SENTENCE.replace("that", next(_words))
            talker.texts(sentence * 4)
            talker.done()
            spoken = talker.interrupt(talker.read_until(by=time.monotonic() + after_s))
            turns.append(Turn(f"{talker.id}-{spoken.end['utterance_index']}", sentence, spoken))
    return turns


def _check(found: Books, bodies: list[bytes], per: str, turn: Turn) -> int:
    """Check what one interruption cost. `bodies` are the requests that the provider got. Returns how many of
    them are of this turn."""
    end, rows = turn.spoken.end, _rows(found, turn)
    usage = end["usage"]
    assert (end["type"], turn.spoken.having("error")) == ("audio.cancelled", [])
    assert end["text_spoken"] + end["text_remaining"] == turn.sentence * 4
    sent_s = len(turn.spoken.sound) / 2 / RATE_HZ
    assert sum(row.samples for row in rows) / RATE_HZ == pytest.approx(sent_s, abs=1e-6)
    assert usage["seconds"] == pytest.approx(sent_s, abs=1e-6)
    assert usage["characters"] == sum(row.characters for row in rows)
    assert {row.id: found.spent.get(row.id, 0) for row in rows} == {row.id: row.credits for row in rows}
    word = turn.sentence.split()[-1]
    texts = sum(word.encode() in body for body in bodies)
    # The provider may have a text whose request was cancelled on its way.
    charged = sum(row.credits > 0 for row in rows)
    assert texts <= charged <= texts + 1
    check_rows(rows, per, charged, turn.sentence)
    return texts


def _rows(found: Books, turn: Turn) -> list[UsageRow]:
    own = [row for row in found.rows.values() if row.id.startswith(f"{turn.utterance}-")]
    return sorted(own, key=lambda row: row.id)


@pytest.mark.parametrize(("sockets", "each", "most_s"), [(2, 1, 1.0), *soak((5, 10, 12.0))])
def test_an_interruption_is_charged_by_the_sound_that_the_client_got_and_by_what_the_provider_has(
    site: Site, sockets: int, each: int, most_s: float
) -> None:
    chosen, kinds = random.Random(7), list(itertools.product(PROVIDERS, PRICES))
    work = [
        (provider, per, [chosen.uniform(0.0, most_s) for _ in range(each)])
        for provider, per in kinds
        for _ in range(sockets)
    ]
    with ThreadPoolExecutor(len(work)) as threads:
        turns = [*threads.map(lambda one: _interrupted(site, *one), work)]
    began = {id_ for some in turns for turn in some for id_ in turn.spoken.requests}

    def written() -> Books | None:
        read = books("sqlite", site.server.data)
        return read if began <= read.rows.keys() else None

    found = until(written)
    assert found is not None
    assert found.verdict.is_clean, found.verdict
    bodies = {name: [each.body for each in site.clouds.spoken(name, name)] for name in PROVIDERS}
    texts = sum(
        _check(found, bodies[provider], per, turn)
        for (provider, per, _), some in zip(work, turns, strict=True)
        for turn in some
    )
    pieces = sum(len(_rows(found, turn)) for some in turns for turn in some)
    print(f"{len(work) * each} interruptions, {pieces} pieces, {texts} texts at the providers")
