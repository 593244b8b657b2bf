"""SRT and WebVTT as they are read: who says what, and when."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.dubs.subtitle_text import UnusableSubtitles, read_subtitles

CAST = ("Ana", "Ben")
SRT = "1\n00:00:01,000 --> 00:00:02,500\nHello.\n\n2\n00:00:03,000 --> 00:00:04,000\nBye.\n"
TIMES = "00:00:01,000 --> 00:00:02,000"

READ = {
    "UTF-8": (SRT.encode(), ["Hello.", "Bye."]),
    "BOM": (b"\xef\xbb\xbf" + SRT.encode(), ["Hello.", "Bye."]),
    "UTF-16": (SRT.encode("utf-16"), ["Hello.", "Bye."]),
    "UTF-16 without BOM": (SRT.encode("utf-16-be"), ["Hello.", "Bye."]),
    "windows-1252": (SRT.replace("Hello", "Olá").encode("windows-1252"), ["Olá.", "Bye."]),
    "CR": (SRT.replace("\n", "\r").encode(), ["Hello.", "Bye."]),
    "CRLF": (SRT.replace("\n", "\r\n").encode(), ["Hello.", "Bye."]),
    "no blank lines": (SRT.replace("\n\n", "\n").encode(), ["Hello.", "Bye."]),
    "no numbers": (f"{TIMES}\nHello.\n\n{TIMES}\nIn 1984\n\n".encode(), ["Hello.", "In 1984"]),
    "points": (SRT.replace(",", ".").encode(), ["Hello.", "Bye."]),
    "blank line in a text": (SRT.replace("Hello.", "Hel\n\nlo.").encode(), ["Hel lo.", "Bye."]),
    "tags and sounds": (f"{TIMES}\n<i>Well</i> {{\\an8}}[door slams] ♪ la ♪ so.".encode(), ["Well so."]),
    "sounds alone": (f"{TIMES}\n[door]\n\n{SRT}".encode(), ["Hello.", "Bye."]),
    "two lines": (f"{TIMES}\nOne\ntwo.".encode(), ["One two."]),
    "WebVTT": (
        b"WEBVTT\n\nSTYLE\n::cue {}\n\nNOTE\nno\n\nid\n00:01.000 --> 00:02.000 line:0\nA &amp; b.\n\nNOTE\n",
        ["A & b."],
    ),
}


def test_files_as_they_are_met(subtests: pytest.Subtests) -> None:
    for name, (data, texts) in READ.items():
        with subtests.test(name):
            assert [turn.text for turn in read_subtitles(data, CAST).turns] == texts
    assert read_subtitles(READ["windows-1252"][0], CAST).warnings
    assert read_subtitles(READ["sounds alone"][0], CAST).mute == 1


def test_speakers_are_named_by_voices_and_by_the_cast(subtests: pytest.Subtests) -> None:
    for text, turns in {
        "<v Ana>Hi.": [("Ana", "Hi.")],
        "<v.loud Cy>Hi.</v> So.": [("Cy", "Hi."), ("", "So.")],
        "ANA: Hi.\nben: Ho.": [("Ana", "Hi."), ("Ben", "Ho.")],
        "- Ana: Hi.\n- Ben: Ho.": [("Ana", "Hi."), ("Ben", "Ho.")],
        "He said: no.": [("", "He said: no.")],
        "<b>Ana:</b> Hi.": [("Ana", "Hi.")],
    }.items():
        with subtests.test(text):
            found = read_subtitles(f"{TIMES}\n{text}".encode(), CAST).turns
            assert [(turn.speaker, turn.text) for turn in found] == turns
    first, second = read_subtitles(f"{TIMES}\nAna: Aaaa.\nBen: Bbbb.".encode(), CAST).turns
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (1000, 1500, 1500, 2000)


def test_names_without_a_voice_are_told() -> None:
    cue = "{}\n00:00:0{}.000 --> 00:00:0{}.500\n{}\n\n"
    texts = ("Ana: Hi.", "Cy: Hi.", "Note: it is late.", "- Cy: Now.")
    srt = "".join(cue.format(n, n, n, text) for n, text in enumerate(texts, 1)).encode()
    (told,) = read_subtitles(srt, ("Ana",)).warnings
    assert told == "These look like names, but have no voice, and are read: Cy"
    assert read_subtitles(srt, ("Ana", "Cy")).warnings == ()


def test_turns_are_in_the_order_of_their_times() -> None:
    late = "00:00:09,000 --> 00:00:10,000\nLast.\n\n"
    assert [(turn.number, turn.text) for turn in read_subtitles((late + SRT).encode(), CAST).turns] == [
        (2, "Hello."),
        (3, "Bye."),
        (1, "Last."),
    ]


def test_unusable_subtitles(subtests: pytest.Subtests) -> None:
    for why, data in {
        "no cue": b"Just a text.",
        "no cue with a text": f"{TIMES}\n[door]".encode(),
        "negative": b"-00:00:01,000 --> 00:00:02,000\nHi.",
        "four hours": b"04:00:00,001 --> 04:00:02,000\nHi.",
        "5000": f"{TIMES}\nHi.\n\n".encode() * 5001,
        "turns of speakers": (f"{TIMES}\n" + "<v Ana>Hi." * 5001).encode(),
        "letters": b"\x81\x8d\x8f" + SRT.encode(),
        "UTF-8": b"\xff\xfe\x31",
    }.items():
        with subtests.test(why), pytest.raises(UnusableSubtitles, match=why):
            read_subtitles(data, CAST)


@pytest.mark.slow
def test_no_file_takes_long(subtests: pytest.Subtests) -> None:
    lines = ("9" * 10**6, " " * 10**6 + TIMES, "<v a" * 250_000, "[" * 10**6, "♪" * 10**6, "♪a" * 500_000)
    more = ("{\\a" * 300_000, "<" * 10**6, "- " * 500_000, "a:" * 500_000, "\n" * 10**6, "--> " * 250_000)
    for line in (*lines, *more, "#a" * 500_000, "&amp;" * 200_000, "00:00:01,000 -->" + " " * 10**6):
        with subtests.test(line[:8]):
            begun = time.process_time()
            try:
                read_subtitles(f"{TIMES}\nHi.\n{line}\n".encode(), CAST)
            except UnusableSubtitles:
                pass
            assert time.process_time() - begun < 2


@given(
    st.lists(st.sampled_from([TIMES, "1", "", "Ana: Hi.", "<v Ben>", "</v>", "NOTE", "♪", "[x]", "WEBVTT"]))
)
def test_any_lines_are_read_or_refused(lines: list[str]) -> None:
    try:
        found = read_subtitles("\n".join(lines).encode(), CAST)
    except UnusableSubtitles:
        return
    assert all(turn.text and turn.start_ms <= turn.end_ms for turn in found.turns)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        read_subtitles(data + f"\n{TIMES}\n".encode() + data, CAST)
    except UnusableSubtitles:
        pass
