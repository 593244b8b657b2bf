"""The front-end `pythainlp`: what holds for every text, where each word points, and how it loads."""

import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest
import structlog
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plugins.pythainlp.plugin import ThaiFrontEnd, voxgate_register
from speech_engine import Context, EngineUnavailable, Segment
from tests.tables import each_row

pytestmark = pytest.mark.slow

FRONT_END = ThaiFrontEnd()

# Whatever Unicode has, and much more of what the rules look for than chance would give.
PIECES = (
    *("๑๒", "12/11/2569", "14:30 น.", "081-234-5678", "฿1,234.50", "1/2", "½", "10-20", "-5", "3.14", "%"),
    *("ๆ", " ๆ", "ฯ", "ฯลฯ", "กรุงเทพฯ", "พ.ศ. ", "ดร.", "อ.", "ม.", "กก.", " บาท", "ATM", "Facebook ", "°C"),
    *("สวัสดี", "คนอื่น", "เเม", "\u0e4dา", "่่", "ิ", "ํ่", "์", " ", "\n", ". ", "? ", "\u200b", "\u200c"),
    *("https://a.co/x", "a@b.co", "x", "×", "+", "=", "/", ":", ",", "-", "(", ")", "\u0301", "ก", "\r\n"),
)
TEXTS = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.text(st.characters(min_codepoint=0x0E00, max_codepoint=0x0E7F), max_size=12),
        st.text(max_size=4),
        st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF),
    ),
    max_size=25,
).map("".join)
WORDS = st.one_of(st.sampled_from(PIECES), st.text(max_size=4))
LEXICONS = st.dictionaries(WORDS, st.text(max_size=8), max_size=3)


def spoken(text: str, lexicon: dict[str, str] | None = None) -> str:
    return " | ".join(segment.spoken for segment in FRONT_END.prepare(text, "th", lexicon or {}))


def sources(text: str) -> dict[str, str]:
    """What stands otherwise in the text: spoken → written."""
    return {
        segment.spoken[part.spoken_start : part.spoken_end]: text[part.source_start : part.source_end]
        for segment in FRONT_END.prepare(text, "th", {})
        for part in segment.rewritten
    }


@settings(max_examples=min(100, settings().max_examples), deadline=None)
@given(text=TEXTS, lexicon=LEXICONS)
@example(text="\ud800 12 \udc00", lexicon={})
@example(text=" " * 3000, lexicon={})
@example(text="ก" * 3000, lexicon={})
def test_segments_tile_the_text_and_rewritten_lies_within_them(text: str, lexicon: dict[str, str]) -> None:
    segments = FRONT_END.prepare(text, "th", lexicon)
    if not segments:
        # A lexicon may silence what else would be said.
        assert lexicon or not any(unicodedata.category(character)[0] in "LN" for character in text)
        return
    assert (segments[0].source_start, segments[-1].source_end) == (0, len(text))
    assert all(left.source_end == right.source_start for left, right in pairwise(segments))
    for segment in segments:
        assert segment.source_start < segment.source_end
        check_rewritten(segment)


def check_rewritten(segment: Segment) -> None:
    at, place = 0, segment.source_start
    for part in segment.rewritten:
        assert at <= part.spoken_start < part.spoken_end <= len(segment.spoken)
        assert place <= part.source_start <= part.source_end <= segment.source_end
        at, place = part.spoken_end, part.source_end


@settings(max_examples=min(100, settings().max_examples), deadline=None)
@given(text=TEXTS, lexicon=LEXICONS)
def test_spoken_text_is_clean_and_never_empty(text: str, lexicon: dict[str, str]) -> None:
    for segment in FRONT_END.prepare(text, "th", lexicon):
        assert segment.spoken
        assert segment.spoken == " ".join(segment.spoken.split())
        assert unicodedata.is_normalized("NFC", segment.spoken)
        if not lexicon:
            assert not {"Cc", "Cs"} & {unicodedata.category(character) for character in segment.spoken}


@settings(deadline=None)
@given(text=TEXTS)
def test_no_digit_is_left_to_the_engine(text: str) -> None:
    """But in addresses, which are said as they are written."""
    said = spoken(text.replace("@", "").replace("http", "").replace(".co", ""))
    assert not any(character.isdecimal() for character in said)


LONG = "เมื่อวานนี้ฉันกับน้องสาวไปเดินเล่นที่สวนสาธารณะใกล้บ้านตั้งแต่เช้าเราเห็นนกหลายชนิดกำลังบินไปมา"

# `ตั้งแต่` is two words to the library here, with `แต่เช้า` the second.
LONG_WORDS = (
    *("เมื่อวาน", "นี้", "ฉัน", "กับ", "น้องสาว", "ไป", "เดิน", "เล่น", "ที่", "สวนสาธารณะ", "ใกล้", "บ้าน", "ตั้งแต่"),
    *("แต่เช้า", "เช้า", "เรา", "เห็น", "นก", "หลาย", "ชนิด", "กำลัง", "บิน", "ไป", "มา"),
)


@each_row(
    "text",
    [
        LONG * 20,
        f"{LONG * 2} {LONG}",
        f"ค่ะ {LONG * 2} {LONG * 3}",
        " ".join([LONG[:30]] * 40),
        f"{LONG}\n{LONG * 2} ค่ะ",
    ],
)
def test_pieces_stay_short_and_end_between_words(text: str) -> None:
    segments = FRONT_END.prepare(text, "th", {})
    pieces = [text[segment.source_start : segment.source_end] for segment in segments]
    assert max(map(len, pieces)) <= 120
    assert [segment.spoken for segment in segments] == [piece.strip() for piece in pieces]
    assert all(piece.startswith(("ค่ะ", *LONG_WORDS)) for piece in pieces)


LIMIT = 250
GROWING = ("เก้าอี้", "99", "บาท", " ", "๑๒๓๔๕๖๗ ตัว", "ATM", "\n", "ๆ", "31/12/2565และ", "1234567.89บาท")
FIGURES = "ประเทศไทยมีประชากร66187727คนเมื่อวันที่31/12/2565และมีรายได้1234567.89บาท"


@each_row(
    "text",
    [
        FIGURES * 20,
        # Where the last word of 120 characters begins within what is said for a number.
        f"เก้าอี้ก่อนเก้าอี้ก่อน99ก่อน99ก่อน๑๒๓๔๕๖๗ ตัวก่อน{FIGURES}",
        f"{FIGURES} " * 20,
        "12/12/2567 " * 300,
        "1234567890 " * 300,
        "ATM " * 1000,
        "ก.ก." * 1000,
        "ราคา 1234567.89 บาท" * 3,
        "1" * 1500,
        f"พาย 3.{'1415926' * 100}",
        ".".join("1234" * 200),
    ],
)
def test_no_engine_has_to_cut_within_a_word(text: str) -> None:
    """However much longer it is when it is spoken: to its limit, blanks and the ends of pieces will do."""
    for segment in FRONT_END.prepare(text, "th", {}):
        assert max(map(len, segment.spoken.split(" "))) <= LIMIT
        if len(segment.spoken) > LIMIT:
            # One number, say: no piece can begin within it.
            assert len(segment.rewritten) <= 2


@settings(max_examples=min(100, settings().max_examples), deadline=None)
@given(pieces=st.lists(st.sampled_from(GROWING), max_size=60))
def test_no_piece_is_longer_than_an_engine_takes(pieces: list[str]) -> None:
    for segment in FRONT_END.prepare("ก่อน".join(pieces), "th", {}):
        assert len(segment.spoken) <= LIMIT
        assert not unicodedata.combining(segment.spoken[0])


def test_a_long_text_is_cut_between_the_words_that_it_is_spoken_with() -> None:
    said = spoken(FIGURES * 5).split(" | ")
    words = ("ประเทศ", "มี", "ประชากร", "เมื่อ", "และ", "รายได้", "หกสิบหก", "หนึ่งล้าน", "สามสิบเอ็ด", "คน", "วันที่")
    assert len(said) > 3
    assert all(piece.startswith(words) for piece in said)


def test_a_blank_is_a_better_place_than_the_end_of_a_word() -> None:
    assert spoken(f"สวัสดีค่ะ {LONG * 2}").startswith("สวัสดีค่ะ | เมื่อวาน")


def test_nothing_is_cut_for_a_last_word() -> None:
    assert spoken(f"{LONG[:70]} ค่ะ") == f"{LONG[:70]} ค่ะ"


@each_row(
    ("text", "expected"),
    [
        ("จ่าย 1,234.50 บาท ครับ", {"หนึ่งพันสองร้อยสามสิบสี่บาทห้าสิบสตางค์": "1,234.50 บาท"}),
        (
            "ดร. สมชาย อายุ ๔๕ ปี",
            {"ดอกเตอร์": "ดร.", "สี่สิบห้า": "๔๕"},
        ),
        ("เด็ก ๆ กับ\u200b ATM", {"เด็ก": "ๆ", "เอทีเอ็ม": "ATM"}),
        ("น้ำ ½ ถ้วย", {"เศษหนึ่งส่วนสอง": "½"}),
        ("เเมว 3 ตัว", {"สาม": "3"}),
        ("โทร. 1669\nวันที่ 5/11", {"โทรศัพท์": "โทร.", "หนึ่งหกหกเก้า": "1669", "ห้าพฤศจิกายน": "5/11"}),
    ],
)
def test_a_rewritten_segment_points_at_its_source(text: str, expected: dict[str, str]) -> None:
    assert sources(text) == expected


def test_a_lexicon_wins_over_the_dictionary_and_the_rules() -> None:
    assert spoken("คุณวรรณพงษ์มาถึง", {"วรรณพงษ์": "วัน-นะ-พง"}) == "คุณวัน-นะ-พงมาถึง"
    assert spoken("ซื้อ 12/11/2569 ที่ ATM", {"ATM": "ตู้เงิน", "12/11/2569": "วันลดราคา"}) == "ซื้อ วันลดราคา ที่ ตู้เงิน"
    assert spoken("รอบอก", {"รอบ": "โดยรอบ"}) == "โดยรอบอก"
    assert spoken("งานอกบ้าน", {"งาน": "ภารกิจ"}) == "ภารกิจอกบ้าน"
    assert spoken("รสชาติดี", {"ชาติ": "ประเทศ"}) == "รสชาติดี"
    assert spoken("น้ำๆ", {"น้ำ": "น้าม"}) == "น้ามน้าม"
    assert spoken("เพลง ๑๐๘ ของเเม่", {"๑๐๘": "ร้อยแปด", "แม่": "มารดา"}) == "เพลง ร้อยแปด ของมารดา"
    assert spoken("ไปกรุงเทพฯ", {"กรุงเทพฯ": "บางกอก"}) == "ไปบางกอก"


@each_row("word", ["เมื่อวาน", "น้องสาว", "สวนสาธารณะ", "ใกล้", "เห็น", "กำลัง"])
def test_a_word_is_found_wherever_it_stands_in_a_text_without_blanks(word: str) -> None:
    assert spoken(LONG * 40, {word: "ฟ้า"}).count("ฟ้า") == 40


def test_an_address_is_kept_from_the_lexicon() -> None:
    assert spoken("ดู https://ตา.example.com/a", {"example": "ตัวอย่าง", "a": "เอ"}).endswith("example.com/a")


def test_threads_that_read_at_once_agree() -> None:
    """Each of several new front-ends is loaded by whichever thread comes first."""
    text = "วันที่ 12 พ.ย. 2569 เวลา 14:30 น. เด็ก ๆ ซื้อขนม 3 ชิ้น ราคา 59.50 บาท ที่ร้าน 7-Eleven"
    expected = FRONT_END.prepare(text, "th", {})
    fresh = ThaiFrontEnd()
    barrier = Barrier(8)

    def prepare(number: int) -> tuple[Segment, ...]:
        barrier.wait(timeout=60)
        return fresh.prepare(text, "th", {f"คำ{number}": "อื่น"})

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(prepare, range(8))) == {expected}


def test_nothing_is_loaded_at_registration_and_nothing_is_left_in_the_environment(tmp_path: Path) -> None:
    """In a process of its own: in this one the library is long there."""
    program = """
import os, sys
from plugins.pythainlp.plugin import voxgate_register
from plugins.pythainlp.plugin import ThaiFrontEnd
voxgate_register()
front_end = ThaiFrontEnd()
loaded = [name for name in sys.modules if name.split(".")[0] == "pythainlp"]
assert not loaded, loaded
os.environ["PYTHAINLP_OFFLINE"] = "0"
front_end.warm()
assert "pythainlp" in sys.modules
assert os.environ["PYTHAINLP_OFFLINE"] == "0"
assert "PYTHAINLP_READ_ONLY" not in os.environ
print(repr(front_end), os.listdir(os.environ["HOME"]))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert ended.stdout == "<ThaiFrontEnd loaded> []\n", ended.stderr


async def test_without_the_library_it_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that Thai stays with the front-end that serves every language."""
    (plugin,) = voxgate_register()
    assert callable(plugin.create)
    assert plugin.missing(plugin.settings()) == ()
    monkeypatch.setattr("plugins.pythainlp.plugin.find_spec", lambda name: None)
    assert [missing.do for missing in plugin.missing(plugin.settings())] == [
        "install voxgate with the extra thai"
    ]
    with pytest.raises(EngineUnavailable, match="extra thai"):
        async with plugin.create("pythainlp", plugin.settings(), Context(structlog.get_logger())):
            pass


def test_a_reader_that_breaks_lets_the_next_one_read() -> None:
    with pytest.raises(AttributeError):
        # As a broken caller might.
        FRONT_END.prepare("สวัสดี 1", "th", {"สวัสดี": 1})  # type: ignore[dict-item]
    assert spoken("สวัสดี 1") == "สวัสดีหนึ่ง"


async def test_the_plugin_registers_as_the_front_end_pythainlp() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name) == ("front_end", "pythainlp")
    assert callable(plugin.create)
    async with plugin.create("pythainlp", plugin.settings(), Context(structlog.get_logger())) as front_end:
        assert front_end.languages == ("th",)
        assert front_end.revision
        assert repr(front_end) == "<ThaiFrontEnd not loaded>"
        (segment,) = front_end.prepare("5 คน", "th-TH", {})
    assert segment.spoken == "ห้าคน"
    assert repr(front_end) == "<ThaiFrontEnd loaded>"
