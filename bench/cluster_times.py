"""How long a slot of an engine is held by a call, and when its sound begins, with all slots in use."""

from __future__ import annotations

import random
import statistics
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

from bench.first_sound import through
from bench.first_sound_worker import SENTENCES, WARM_UP, hear
from tests.heard.natural import JOE, speaking

CALLS_A_SLOT = 8
MOST_SENTENCES = 4
CARD_SLOTS, CARD_MEAN_S = 32, 4.0


class Times(NamedTuple):
    """Of each call, the seconds of its slot, and those until its sound."""

    what: str
    slots: int
    calls: tuple[tuple[float, float], ...]

    @property
    def mean_s(self) -> float:
        return sum(held_s for held_s, _ in self.calls) / len(self.calls)

    def __str__(self) -> str:
        first_s = statistics.median(first_s for _, first_s in self.calls)
        held = f"{self.slots} slots, held for {self.mean_s:.2f} s"
        return f"{self.what}: {held}, first sound after {first_s:.2f} s"


def measured() -> Times:
    """Measure piper in a real server: texts of one to four sentences, in as many at once as it has slots."""
    with tempfile.TemporaryDirectory(prefix="cluster-") as data:
        with speaking(Path(data), JOE._replace(settings="")) as live:
            with live.control() as control:
                engines = {row["name"]: row for row in control.get("/admin/engines").json()["data"]}
            slots = int(engines["piper"]["slots"])
            speak = through(live, "piper", JOE.voices[0])
            hear(speak, WARM_UP)
            found: list[tuple[float, float]] = []

            def listen(number: int) -> None:
                rng = random.Random(number)
                for _ in range(CALLS_A_SLOT):
                    heard = hear(speak, " ".join(rng.sample(SENTENCES, rng.randint(1, MOST_SENTENCES))))
                    found.append((heard.took_s, heard.first_s))

            threads = [threading.Thread(target=listen, args=(number,)) for number in range(slots)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    return Times("piper, measured", slots, tuple(found))


def chosen() -> Times:
    """What a card could need. Nobody has measured one yet."""
    rng = random.Random(1)
    calls = ((rng.gammavariate(2.0, CARD_MEAN_S / 2.0), 0.2) for _ in range(1_000))
    return Times("a card, chosen", CARD_SLOTS, tuple(calls))
