"""How many samples are spoken in the language that they are written in."""

from collections.abc import Iterable
from typing import NamedTuple

from policies import language
from tests.plugins.pycld2.sentences import Sample


class Score(NamedTuple):
    right: int
    of: int

    def __str__(self) -> str:
        return f"{self.right}/{self.of}"

    @property
    def share(self) -> float:
        return self.right / self.of


def score(samples: Iterable[Sample], detect: language.Detect | None, default: str = "en") -> Score:
    """As the server chooses: by script, then by the detector, else the default."""
    hits = [language.language_of_text(text, detect, default).tag == tag for tag, text, _ in samples]
    return Score(sum(hits), len(hits))


def table(samples: list[Sample], detect: language.Detect | None) -> str:
    lines = [f"{'':8}{'long':>8}{'short':>8}"]
    for tag in [*dict.fromkeys(sample.language for sample in samples), ""]:
        of_tag = [sample for sample in samples if tag in ("", sample.language)]
        long, short = (
            score([s for s in of_tag if s.is_short is is_short], detect) for is_short in (False, True)
        )
        lines.append(f"{tag or 'all':8}{long!s:>8}{short!s:>8}")
    return "\n".join(lines)
