"""The name that a person reads for a voice: `Heart` for `af_heart`."""

from __future__ import annotations

import re

_KOKORO = re.compile(r"[a-z][fm]_([a-z]+)")
_PIPER = re.compile(r"[a-z]{2,3}_[A-Z]{2}-(\w+)-(?:x_low|low|medium|high)")


def title_of(name: str) -> str:
    """Return the name of a speaker, made of an engine's name of the voice.

    >>> [title_of(name) for name in ("af_heart", "en_US-joe-medium", "mary_ann", "English (America)")]
    ['Heart', 'Joe', 'Mary Ann', 'English (America)']
    """
    known = _KOKORO.fullmatch(name) or _PIPER.fullmatch(name)
    words = (known[1] if known else name).replace("_", " ")
    return (
        words.title() if words.isascii() and words.replace(" ", "").isalpha() and words.islower() else words
    )
