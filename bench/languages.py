"""How well the detectors know a language, and what they cost: `python -m bench.languages`.

The sentences that no rule was tuned on are what counts; the tuning texts beside them show how much was
learned by heart. English is what an unsure detector comes to, as it does in the server.
"""

from __future__ import annotations

import time

from bench.languages_tuning import texts
from plugins.py3langid.plugin import LangidSettings, load
from plugins.pycld2.plugin import Cld2Detector
from policies import language
from tests.plugins.pycld2.scoring import score, table
from tests.plugins.pycld2.sentences import Sample, samples

_CALLS = 300
_SHORT = "Good morning, everyone"
_LONG = "The shop on the corner opens at nine. " * 108


def main() -> None:
    print(f"no detector\n{table(samples(), None)}")
    _report("pycld2", Cld2Detector().rank)
    start = time.perf_counter()
    detector = load(LangidSettings().languages)
    loaded_s = time.perf_counter() - start
    _report("py3langid", detector.rank)
    print(f"loaded in {loaded_s:.1f} s")


def _report(name: str, detect: language.Detect) -> None:
    tuning = [Sample(tag, text, len(text.split()) <= 4) for tag, text in texts()]
    print(f"\n{name}\n{table(samples(), detect)}")
    print(f"tuning texts: {score(tuning, detect)}")
    short = [sample for sample in samples() if sample.is_short]
    for default in ("en", "pt", "de", "sw"):
        usual, others = (
            score([s for s in short if (s.language == default) is is_usual], detect, default)
            for is_usual in (True, False)
        )
        print(f"short texts if the default is {default}: {usual} in it, {others} in other languages")
    for text in (_SHORT, _LONG):
        print(f"{_us(detect, text):.0f} µs for {len(text)} characters")


def _us(detect: language.Detect, text: str) -> float:
    start = time.perf_counter()
    for _ in range(_CALLS):
        detect(text, language.DEFAULT)
    return (time.perf_counter() - start) / _CALLS * 1e6


if __name__ == "__main__":
    main()
