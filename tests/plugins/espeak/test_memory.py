"""No text ends the library's process: it does not check what it takes, so the texts are made safe."""

import json
import random
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from plugins.espeak.languages import languages
from plugins.espeak.safe_text import safe
from tests.tables import each_row, soak

pytestmark = pytest.mark.slow

HANG_S = 30.0
LANGUAGES = sorted(each.tag for each in languages() if each.quality != "poor")
SIGNS = list(".,;:!?…-–—'\"()[]{}<>/\\|@#$%^&*_+=~`°§€£¥½²ªº«»“”‘’·•→\u0301\u0308\u200d\u00ad\u02c8©®™¶†")
LATIN = "abcdefghijklmnopqrstuvwxyzáéíóúãõçñüöäßøåæœşğıłčřžăđơưïì"
OTHERS = (
    *("абвгдежзийклмнопрстуфхцчшщъыьэюя", "αβγδεζηθικλμνξοπρστυφχψωάέήϖϕϰϵ", "नमस्तेकखगघचछजटडतदपफब"),
    *("অআইউকখগঘ", "அஆஇகஙச", "అఆఇకఖగ", "აბგდევზ", "աբգդեզ", "ابتثجحخ", "אבגדהו", "กขคงจ่้าะเแ", "你好世界"),
    *("あいうカキク", "안녕하세요", "əɛɔʃʒŋɡːˈˌ", "😀👍🎉👩‍🔬", "0123456789"),
)
KILLERS = [
    ("pt", "© 2026 " * 10),
    ("pt-PT", "© " * 10),
    ("en", "a." * 196),
    ("en", "a.b." * 1024),
    ("en", "a.b. " * 800),
    ("en", "W." * 500),
    ("de", "é.ü." * 500),
    ("ru", "я.ж." * 500),
    ("hi", "क." * 400),
    ("ro", "i" * 800),
    ("bg", "\u026e\u2139"),
    ("vi", "`("),
    ("vi", "`"),
    ("vi", "[-j"),
    ("pt", "a©a©"),
    ("pt", "x©y©" * 100),
    ("bn", "\u24dc"),
    ("fi", "\u28ff"),
    ("de", "\U0001f920"),
    ("hi", "\u13ad\u1506\u1506"),
    ("en", "a\x00b.[[c"),
]


class Speaker:
    """A process that speaks. After its death, the next text gets a new one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def survives(self, language: str, text: str) -> bool:
        process = self._process = self._process or _start()
        assert process.stdin
        assert process.stdout
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps([language, text]) + "\n")
            process.stdin.flush()
        is_heard, _, _ = select.select([process.stdout], [], [], HANG_S)
        if is_heard and process.stdout.readline():
            return True
        self.stop()
        return False

    def stop(self) -> None:
        if self._process is not None:
            with self._process as process:
                process.kill()
            self._process = None


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.plugins.espeak.speaker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.stop()


def wild_text(random_: random.Random) -> str:
    """A text as nobody writes it: units again and again, long words, signs in words, mixed scripts."""
    own = random_.choice((LATIN, LATIN.upper(), *OTHERS))
    signs = [*SIGNS, " ", "\n", ". ", "1"]

    def word(letters: str, most: int) -> str:
        return "".join(random_.choice(letters) for _ in range(random_.randint(1, most)))

    match random_.randrange(5):
        case 0:
            unit = word(own, 2) + random_.choice(signs)
            if random_.random() < 0.4:
                unit += random_.choice(own) + random_.choice(signs)
            return (unit * 4096)[: random_.choice((100, 300, 800, 4096))]
        case 1:
            return "".join(word(own, 7) + random_.choice(signs) for _ in range(random_.randint(1, 80)))
        case 2:
            return " ".join(word(own, 300) for _ in range(8))[:4096]
        case 3:
            return " ".join(word(random_.choice((own, *OTHERS)), 7) for _ in range(random_.randint(2, 30)))
        case _:
            return "".join(chr(random_.randint(32, 0x2FFF)) for _ in range(random_.choice((20, 200, 1000))))


@pytest.mark.parametrize("times", [1, *soak(3)])
@each_row(("language", "text"), KILLERS)
def test_a_text_that_killed_the_library_is_spoken(
    speaker: Speaker, language: str, text: str, times: int
) -> None:
    for _ in range(times):
        assert speaker.survives(language, text)


def expect_all_to_survive(speaker: Speaker, seed: int, texts: int) -> None:
    random_ = random.Random(seed)
    dead = []
    for _ in range(texts):
        language, text = random_.choice(LANGUAGES), wild_text(random_)
        if not speaker.survives(language, text):
            dead.append((language, text))
    assert not dead


def test_wild_texts_in_every_language_end_no_process(speaker: Speaker) -> None:
    expect_all_to_survive(speaker, 20, 60)


@pytest.mark.soak
def test_thousands_of_wild_texts_end_no_process(speaker: Speaker) -> None:
    expect_all_to_survive(speaker, random.randrange(10**9), 6000)


@each_row(
    "text",
    [
        "The U.S.A. and the U.K. met at 5 p.m. in Washington D.C. today.",
        "Visit www.example.com/a-very-long-path/with/many-parts?and=some&query=too, please.",
        "AT&T costs $5.99 (20% off) at 20 °C; it's ©2026 by J. R. R. Tolkien & Sons…",
        "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk",
        "1.2.3.4 and 192.168.100.200, 1,000,000.00",
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert safe(text, "gmw/en-US") == text
