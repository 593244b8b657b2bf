"""Where a text begins a paragraph."""

from policies.paragraphs import paragraph_ranges, paragraph_starts
from tests.tables import each_row


def cut(text: str) -> list[str]:
    return [text[begin:end].strip() for begin, end in paragraph_ranges(text, paragraph_starts(text))]


@each_row(
    ("text", "found"),
    [
        ("One. Two.", ["One. Two."]),
        ("One.\n\nTwo.", ["One.", "Two."]),
        ("One.\r\n \t\r\n\r\nTwo.", ["One.", "Two."]),
        ("One line\nand another.", ["One line\nand another."]),
        ("# Title\nText of it.\n## More\nText.", ["# Title", "Text of it.", "## More", "Text."]),
        ("Buy:\n- milk\n- bread\n  and salt\n\nGo.", ["Buy:", "- milk", "- bread\n  and salt", "Go."]),
        ("1. One\n2) Two\n* Three\n\u2022 Four", ["1. One", "2) Two", "* Three", "\u2022 Four"]),
        ("In 1990\n1990 was over.\n-5 is cold.", ["In 1990\n1990 was over.\n-5 is cold."]),
        # What has nothing to say joins a neighbour.
        ("\n\n---\n\nOne.\n\n***\n\n\n\nTwo.\n\n", ["---\n\nOne.\n\n***", "Two."]),
        ("\n" * 4096, [""]),
        ("", [""]),
    ],
)
def test_blank_lines_headings_and_items_begin_paragraphs(text: str, found: list[str]) -> None:
    assert cut(text) == found
