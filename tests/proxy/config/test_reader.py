"""What follows an unknown name: all names if they are few, else the nearest ones and where the list is."""

import pytest

from proxy.config.reader import names_hint

MANY = [f"espeak/{letter}{number}" for letter in "abcdfmopqr" for number in range(7)] + ["alloy", "ash"]


def test_few_names_are_all_said(subtests: pytest.Subtests) -> None:
    for name, known, says in (
        ("aloy", ["alloy", "ash"], "Did you mean alloy? The voices are: alloy, ash."),
        ("zzz", ["alloy", "ash"], "The voices are: alloy, ash."),
        ("zzz", [], "The voices are: none."),
    ):
        with subtests.test(name=name, known=known):
            assert names_hint(name, known, "voices") == says


def test_of_many_names_the_five_nearest_are_said_and_where_all_are(subtests: pytest.Subtests) -> None:
    for name, first in (("aloy", "alloy"), ("espeak/f9", "espeak/f"), ("f3", "espeak/f3")):
        with subtests.test(name=name):
            said = names_hint(name, MANY, "voices")
            assert said.startswith(f"Did you mean {first}")
            assert sum(each in said.replace("?", " ").split(" ") for each in MANY) <= 5
            assert said.endswith("? GET /v1/audio/voices has all voices.")
    assert names_hint("\N{GREEK SMALL LETTER OMEGA}" * 9, MANY, "voices") == (
        "GET /v1/audio/voices has all voices."
    )
