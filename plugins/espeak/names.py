"""The variants behind OpenAI's names, chosen so that they differ. README.md tells how they sound."""

from __future__ import annotations

from collections.abc import Mapping

from speech_engine import KnownName

NAMES: Mapping[str, KnownName] = {
    "alloy": KnownName("shelby", ("bright",)),
    "ash": KnownName("travis", ("dark",)),
    "ballad": KnownName("Nguyen", ("high", "soft")),
    "cedar": KnownName("mike2", ("low", "buzzing")),
    "coral": KnownName("Alicia", ("high", "bright")),
    "echo": KnownName("Gene2", ("round",)),
    "fable": KnownName("rob", ("high", "clear")),
    "marin": KnownName("belinda", ("clear",)),
    "nova": KnownName("f5", ("warm",)),
    "onyx": KnownName("david", ("deep",)),
    "sage": KnownName("steph", ("low", "dark")),
    "shimmer": KnownName("anika", ("high", "trembling")),
    "verse": KnownName("Andy", ("low", "clear")),
}
