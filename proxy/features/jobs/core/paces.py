"""Measures how fast voices speak: a running mean over settled steps, by model, voice and language."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from proxy.speech.call import SpeechCall
from proxy.storage.store import Params, Statement, Store
from proxy.storage.tables import Table

_MOST_CHARACTERS = 50_000
"""Each time that the sum exceeds this, older steps count half."""

TABLE = Table(
    "voice_paces",
    key=("model", "voice", "language"),
    owner="''",
    erased_with=("DELETE FROM voice_paces WHERE voice = :subject",),
)
_ADD = f"""
INSERT INTO voice_paces (model, voice, language, characters, ms)
SELECT CAST(:model AS TEXT), CAST(:voice AS TEXT), CAST(:language AS TEXT), CAST(:characters AS BIGINT),
    CAST(:ms AS BIGINT)
WHERE NOT EXISTS (SELECT 1 FROM erasures WHERE subject = :voice)
ON CONFLICT (model, voice, language) DO UPDATE SET
    characters = excluded.characters
        + voice_paces.characters / CASE WHEN voice_paces.characters > {_MOST_CHARACTERS} THEN 2 ELSE 1 END,
    ms = excluded.ms
        + voice_paces.ms / CASE WHEN voice_paces.characters > {_MOST_CHARACTERS} THEN 2 ELSE 1 END
"""
_FIND = """
SELECT characters, ms FROM voice_paces WHERE model = :model AND voice = :voice AND language = :language
"""


class Spoken(NamedTuple):
    """The characters that a voice has spoken in a step, and the milliseconds that they would take at speed
    1."""

    model: str
    voice: str
    language: str
    characters: int
    ms: int


def measure_spoken(call: SpeechCall) -> list[Spoken]:
    """Return what the voices of a settled call have spoken."""
    found = dict[tuple[str, str, str], tuple[int, int]]()
    if call.totals.names is not None:
        return []  # the answer came from the cache, so nothing was measured
    for run, samples in call.totals.written_parts():
        if run.winner is None or run.is_passed_over or not samples:
            continue
        key = run.winner.model.name, run.part.voice.id, run.part.language
        characters, ms = found.get(key, (0, 0))
        spoken = run.text_for(run.winner).spoken_characters
        length_ms = 1000 * samples * call.request.speed / call.totals.sample_rate_hz
        found[key] = characters + spoken, ms + round(length_ms)
    return [Spoken(*key, *each) for key, each in sorted(found.items())]


def pace_statements(spoken: Sequence[Spoken]) -> list[Statement]:
    return [Statement(_ADD, each._asdict()) for each in spoken if each.ms > 0]


class Paces:
    """Reads the paces for one estimate, each once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known = dict[tuple[str, str, str], float | None]()

    async def find_pace(self, model: str, voice: str, language: str) -> float | None:
        """Return the characters that a voice speaks in a second. None: it has not spoken yet."""
        key = model, voice, language
        if key not in self._known:
            params: Params = {"model": model, "voice": voice, "language": language}
            rows = await self._store.read(_FIND, params)
            self._known[key] = 1000 * rows[0]["characters"] / rows[0]["ms"] if rows else None
        return self._known[key]
