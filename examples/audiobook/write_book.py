"""A book to try, with nine chapters and always the same: `python write_book.py > book.txt`."""

from __future__ import annotations

import sys
from random import Random

CHARACTERS = 30_000
_TITLES = ("The shed", "The lake", "A letter", "The ferry", "Fog", "The lighthouse", "Salt", "A lamp", "Home")
_PLACES = ("by the lake", "behind the shed", "on the ferry", "at the lighthouse", "under the stairs")
_THINGS = ("the lamp", "the letter", "an old map", "the blue coat", "two keys", "the radio")
_ACTS = ("put {} on the table", "looked for {}", "carried {} down to the water", "hid {} again")
_SKIES = ("It had rained all night.", "The wind came from the sea.", "Nothing moved.", "The fog rose.")
_ASKS = ("Where did you find {}?", "Did you bring {}?", "Why is {} here?", "Who needs {} now?")
_ANSWERS = ("I was {}, and nobody saw me.", "Look {}.", "It was {} all along.", "Not {}, I promise.")


def scene(choose: Random) -> str:
    """The narrator says where they are, then Ana asks and Ben answers."""
    act = choose.choice(_ACTS).format(choose.choice(_THINGS))
    narrated = f"{choose.choice(_SKIES)} Ana {act}, and Ben waited {choose.choice(_PLACES)}."
    asked = choose.choice(_ASKS).format(choose.choice(_THINGS))
    answered = choose.choice(_ANSWERS).format(choose.choice(_PLACES))
    return f"[Narrator] {narrated}\n[Ana] {asked}\n[Ben] {answered}\n"


def book(characters: int) -> str:
    choose = Random(1)
    chapters = []
    for title in _TITLES:
        chapter = f"# {title}\n"
        while len(chapter) < characters / len(_TITLES):
            chapter += scene(choose)
        chapters.append(chapter)
    return "\n".join(chapters)


if __name__ == "__main__":
    sys.stdout.write(book(int(sys.argv[1]) if len(sys.argv) > 1 else CHARACTERS))
