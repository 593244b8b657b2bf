"""What holds for every front-end, whatever the text: its ranges tile the source, what is spoken is clean."""

import unicodedata
from itertools import pairwise

from hypothesis import strategies as st

from speech_engine import Segment

_PIECES = (
    ". ",
    "? ",
    "!",
    "\n\n",
    "\r\n",
    "。",
    "Dr. ",
    "A.",
    "U.S. ",
    "「",
    "”",
    "\u2028",
    "\u200d",
    "e\u0301",
)

# What numbers, dates, money and abbreviations are made of, met in no sensible order.
_FIGURES = (
    *(
        "0",
        "1",
        "2",
        "20",
        "007",
        "1984",
        "1.234,5",
        "1,234.50",
        "½",
        "12/11/2026",
        "2026-11-20",
        "14:30",
        "9h",
    ),
    *(
        "-",
        "–",
        "−",
        "+",
        "/",
        ":",
        "%",
        " %",
        "º",
        "ª",
        "th",
        "st",
        "$",
        "R$ ",
        "€",
        "₦",
        "US$",
        " km",
        "°C",
        "m²",
    ),
    *(
        "a.m.",
        " p. m.",
        "Av. ",
        "St. ",
        "etc. ",
        "n.º ",
        "No. ",
        "p. ex.",
        "II",
        "século ",
        "Chapter ",
        "May ",
        " de ",
    ),
    *(
        "nov.",
        " horas",
        " a",
        " mil ",
        " millones",
        "https://a.com/",
        "a@b.com",
        "N5",
        " USD",
        "3a ",
        "siglos ",
        " y XX",
        "Sept. 2020",
        "9-to-5",
        "EUA",
        "24/7",
        "(",
        ")",
        "\xa0",
    ),
)

TEXTS = st.lists(
    st.one_of(
        st.sampled_from(_PIECES),
        st.sampled_from(_FIGURES),
        st.text(max_size=6),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF),
    ),
    max_size=30,
).map("".join)

LEXICONS = st.dictionaries(
    st.one_of(st.sampled_from(("km", "EUA", "Dr", "12", "a", "St.", ".", " ")), st.text(max_size=4)),
    st.one_of(st.sampled_from(("", " ", "um dois", "\u0301", "e\u0301")), st.text(max_size=8)),
    max_size=4,
)


def assert_sound(text: str, segments: tuple[Segment, ...]) -> None:
    """All that `FrontEnd.prepare` promises about any text."""
    _assert_tiled(text, segments)
    for segment in segments:
        assert segment.spoken
        assert segment.spoken == segment.spoken.strip()
        assert "  " not in segment.spoken
        assert unicodedata.is_normalized("NFC", segment.spoken)
        assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in segment.spoken}
        end = 0
        source_end = segment.source_start
        for rewritten in segment.rewritten:
            assert end <= rewritten.spoken_start < rewritten.spoken_end <= len(segment.spoken)
            assert source_end <= rewritten.source_start <= rewritten.source_end <= segment.source_end
            end, source_end = rewritten.spoken_end, rewritten.source_end


def _assert_tiled(text: str, segments: tuple[Segment, ...]) -> None:
    if not segments:
        return
    assert segments[0].source_start == 0
    assert segments[-1].source_end == len(text)
    assert all(left.source_end == right.source_start for left, right in pairwise(segments))
    assert all(segment.source_start < segment.source_end for segment in segments)
