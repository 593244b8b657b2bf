"""The names of a cast: which may be."""

from policies import text_tags
from policies.text_tags import MOST_NAME_CHARACTERS, MOST_NAMES
from tests.tables import each_row


@each_row(
    ("names", "is_good"),
    [
        (("Ana",), True),
        (tuple(f"n{number}" for number in range(MOST_NAMES)), True),
        (("น้องแพร", "O'Neil", "R2-D2", "x" * MOST_NAME_CHARACTERS), True),
        ((), False),
        (tuple(f"n{number}" for number in range(MOST_NAMES + 1)), False),
        (("",), False),
        (("  ",), False),
        (("Ana]",), False),
        (("A\nna",), False),
        (("x" * (MOST_NAME_CHARACTERS + 1),), False),
        (("Ana", "ANA"), False),
        (("Ana", " Ana"), False),
        (("Zoé", "Zoe\u0301"), False),
    ],
)
def test_a_cast_is_made_of_good_names(names: tuple[str, ...], is_good: bool) -> None:
    assert (text_tags.cast_fault(names) is None) == is_good
