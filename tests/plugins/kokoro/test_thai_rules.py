"""Thai words that no dictionary has, read by the rules of the script."""

import pytest

from plugins.kokoro.thai_rules import network_sounds, read_word
from tests.tables import each_row

READ = {
    # The class of the initial and the mark decide the tone.
    "กา": "kaː→", "ก่า": "kaː↓", "ก้า": "kaː↘", "ก๊า": "kaː↑", "ก๋า": "kaː↗",
    "ขา": "kʰaː↗", "ข่า": "kʰaː↓", "ข้า": "kʰaː↘", "คา": "kʰaː→", "ค่า": "kʰaː↘", "ค้า": "kʰaː↑",
    "กาก": "kaːk↓", "ขาด": "kʰaːt↓", "คาบ": "kʰaːp↘", "คับ": "kʰap↑",
    # An h or a silent letter before a sonorant lends it its class.
    "หมา": "maː↗", "หลอด": "lɔːt↓", "อยู่": "juː↓",
    # Two initials.
    "กลาง": "klaːŋ→", "พระ": "pʰraʔ↑", "ขวาน": "kʰwaːn↗", "สร้าง": "saːŋ↘", "ทราย": "saːj→", "ทรู": "tʰruː→",
    # The forms of the vowels.
    "เมีย": "mia→", "เรียน": "rian→", "เสือ": "sɯa↗", "เดือน": "dɯan→", "ตัว": "tua→", "สวน": "suan↗",
    "เกาะ": "kɔʔ↓", "เขา": "kʰaw↗", "เธอ": "tʰɤː→", "เดิน": "dɤːn→", "เลย": "lɤːj→", "เจ็ด": "ʨet↓",
    "แกะ": "kɛʔ↓", "โต๊ะ": "toʔ↑", "ไทย": "tʰaj→", "ใจ": "ʨaj→", "ธรรม": "tʰam→", "กรรไกร": "kan→.kraj→",
    "ทำ": "tʰam→",
    "ล็อก": "lɔk↑", "มือ": "mɯː→", "คืน": "kʰɯːn→", "พร": "pʰɔːn→", "คน": "kʰon→",
    # A mark makes some vowels short, and letters may be silent.
    "ร่อง": "rɔŋ↘", "เล่น": "len↘", "แข่ง": "kʰɛŋ↓", "จันทร์": "ʨan→", "ศิลป์": "sin↗", "ฟิล์ม": "fim→",
    "จักร": "ʨak↓", "ชาติ": "ʨʰaːt↘", "พฤกษ์": "pʰrɯk↑", "ฤๅ": "rɯː→", "พุทธ": "pʰut↑",
    # Several syllables: a short open one has its stop at the end alone, and a vowel may not be written.
    "วอลเล็ต": "wɔːn→.let↑", "ธนาคาร": "tʰa↑.naː→.kʰaːn→", "อโศก": "ʔa↓.soːk↓", "กะทิ": "ka↓.tʰiʔ↑",
    "สมพงษ์": "som↗.pʰoŋ→", "แมนเชสเตอร์": "mɛːn→.ʨʰeːt↘.tɤː→",
    # A letter alone is said by its name.
    "ฆ": "kʰɔː→",
}  # fmt: skip


@each_row("word", READ)
def test_a_word_is_read_by_the_rules_of_the_script(word: str) -> None:
    assert read_word(word) == READ[word]


@each_row("word", ["", "่", "์", "เ", "ะ", "เ" * 10_000, "่้๊๋"])
def test_signs_without_a_letter_are_silent(word: str) -> None:
    assert read_word(word) == ""


def test_the_dictionary_s_signs_become_the_network_s() -> None:
    assert network_sounds("/t͡ɕʰaːm˧.t͡ɕop̚˨˩.rɯa̯˥˩.naː˦˥.maː˩˩˦.gap/") == "ʨʰaːm→.ʨop↓.rɯa↘.naː↑.maː↗.ɡap"


@pytest.mark.parametrize("letter", "กขคงจฉชซญดตถทนบปผฝพฟมยรลวสหฬอฮ")
def test_no_letter_gets_lost_in_a_long_word(letter: str) -> None:
    assert read_word(letter * 40).count(".") >= 9
