"""What `auto` leaves out: only what nobody writes for anything else."""

import re
import string
import time
from collections.abc import Callable
from functools import partial

import pytest

from proxy.text_rules import markdown as reading
from proxy.text_rules import marks
from proxy.text_rules.markdown import read_markdown
from tests.tables import each_row

LEFT_OUT = [
    ("**bold** and __bold__", "bold and bold"),
    ("***both***, **a __b__ c**", "both, a b c"),
    ("これは**太字**です", "これは太字です"),
    ("**Haus**tür", "Haustür"),
    ("- one\n- two\n  * three", "one\ntwo\n  three"),
    ("# Title\n\nText ## here", "Title\n\nText ## here"),
    ("###### Deep", "Deep"),
    ("- **Milk**: two", "Milk: two"),
    ("- **a\n- b**", "**a\nb**"),
    ("- 5 apples\n- $6", "5 apples\n$6"),
    ("- Bread\n  and\n\n- 5 apples\n# 6", "Bread\n  and\n\n5 apples\n6"),
    ("**「重要」**です", "「重要」です"),
    ("**合計**100円, **국어(國語)**입니다", "合計100円, 국어(國語)입니다"),
    ("ה**ספר** הזה و**الكتاب** هنا", "הספר הזה والكتاب هنا"),
    ('!**a**! (**b**) "**c**" **$5**, **f(x)** **-5**.', '!a! (b) "c" $5, f(x) -5.'),
    ("(a)**2 and **bold** b**2", "(a)**2 and bold b**2"),
    ("don`t do `ls`", "don`t do ls"),
    ("[a](b.mp3) [b](/c) [c](#d) [d](../e) [e](mailto:a) [f](www.a) [g](d/e.md#f)", "a b c d e f g"),
    ("これは[例](https://a.org)です", "これは例です"),
    ("Run `make test` or ``a`b``.", "Run make test or a`b."),
    ("`**kwargs` and `__init__` in **code**", "**kwargs and __init__ in code"),
    ("So:\n```python\nx = **y**\n```\nDone", "So:\n\nDone"),
    ("A\n````\n```\nb\n```\n````\nC\n```\nd", "A\n\nC\n```\nd"),
    ("> ```\n> code\n> ```\n> Done", "\nDone"),
    ("> A\n> ```\n> code\n\nB\n```\ncode\n```\nC", "A\n```\ncode\n\nB\n\nC"),
    ("A\n```\n> ```\n```\nB", "A\n\nB"),
    ("```\nonly = 1\n```", "\nonly = 1\n"),
    (
        "He said:\n> Go **home**.\n>\n>> # Now\n>and > then.\n> 5 times",
        "He said:\nGo home.\n>\nNow\nand > then.\n5 times",
    ),
    ("__init__", "init"),
    ("See [the docs](https://a.org/x?y=1).", "See the docs."),
    ("[**bold**](b.html 'title')", "bold"),
    ("![a cat](cat.png)", "a cat"),
    ("[](https://a.b/c) x", "a.b x"),
    ("[ok](https://en.wikipedia.org/wiki/A_(b))!", "ok!"),
    ("see https://a.org/b_(c)/d?e=1. Next", "see a.org. Next"),
    ("(https://www.example.com/path).", "(www.example.com)."),
    ("www.example.com/path, x", "www.example.com, x"),
    ("<https://a.b/c> x", "a.b x"),
    ("https://example.com/pathです", "example.comです"),
    ("https://pt.wikipedia.org/wiki/São_Paulo é", "pt.wikipedia.org é"),
    ("http://localhost:8000/x http://u:p@h.io/z", "localhost h.io"),
    ("https://例え.jp/道", "例え.jp道"),
    ("مرحبا https://a.org/مسار، نعم", "مرحبا a.org، نعم"),
    ("https://a.org/שלום https://a.org/हिन्दी।", "a.org a.org।"),
    ("https://a.org/x's page", "a.org's page"),
    ("(http://a.org/x's).", "(a.org's)."),
    ("https://a.org/x,https://b.org/y|www.c.org/z", "a.org,b.org|www.c.org"),
    ("https://a.org,me@b.org/x", "a.org,me@b.org/x"),
    ("[Ana] **hi** [laughs]", "[Ana] hi [laughs]"),
    ("It *was* so, _very_ much so.", "It was so, very much so."),
    ('*Now*! ("_never_") d\'*Artagnan*.', 'Now! ("never") d\'Artagnan.'),
    ("*two words* and **bold *with* it**", "two words and bold with it"),
    (
        "*All of it.* _All of it!_ Then *¿qué?* (*yes, all.*) *Sighs.*",
        "All of it. All of it! Then ¿qué? (yes, all.) Sighs.",
    ),
    ('*"All."* *“All.”* *(softly)* *「はい」*です', '"All." “All.” (softly) 「はい」です'),
    ("*Über* _éclair_ *สวัสดี* _नमस्ते_", "Über éclair สวัสดี नमस्ते"),
    ("これは*強調*です", "これは強調です"),
    ("5*3 and *so* on, a* and *b*", "5*3 and so on, a* and b"),
]
STAYS = [
    *("Hello, there.", "2 * 3", "2**3 and 4**5", "C# and F#", "-5", "- ", "# ", "#1 #tag", "snake_case"),
    *("obj.__init__() and __init__.py", "a__b__c", "**kwargs, **options", "f(*a, **b)", "****", "** **"),
    *("__", "``", "`", "it`s", "**a\n\nb**", "f[0](x)", "[Ana] Hi. [Ben] Ho.", "[](x)"),
    *(
        "*temp.* and *foo.*",
        ".*foo.*",
        "x*.y, z*.",
        "count(*), max(*)",
        "*.py, a.*",
        "2 * (3 * 4)",
        "*(p) + *(q)",
    ),
    *("1. one", "a - b", "well-known", "a/b", "http://", "x https:// y", "e.g. example.com"),
    *("(a+b)**2 - (c+d)**2", "[x]**2 + [y]**2", "|x|**2 + |y|**2", "x **-1 + y**-1", "5%**2 or 6%**3"),
    *(
        "(x)**(2) + (y)**(2)",
        "f(*args, **kwargs) and g(**kwargs)",
        "'a'**2, 'b'**2",
        "x **2 + y**2",
        "٢**٣ + ٤**٥",
    ),
    *("src/**/*.py and test/**/*.py", "don`t can`t", "o`zbek o`qish", "5` 6`"),
    *("Ana [they](she/her) said", "f[0](x.y)", "array[0](1.5)", "Hotel [3 stars](4.5/5)", "[10](€2.50)"),
    *("[see](fig.3)", "[Note](v1.2)", "[a][b](c.de)", "[50%](#5)", "[3](/5)", "[sic](p.5)", "[x](a:b)"),
    *("10\n- 3\n= 7", "- 5 degrees", "Balance:\n- $50", "- R$ 50", "-\t.5", "a\n\n- 5\n\nb\n- 6"),
    *("5*3", "2 * x * 3", "a*b*c", "3*x*", "*x*3", "f*ck and sh*t", "*args, b", "(*p).x", "A* and D*"),
    *("obj._private_()", "_leading and _other", "変数_名前_値", "*5*", "_2nd_", "x * a *", "*-*", "^_^"),
    "*a\n\nb*",
    *("> 5 °C", ">= 5", ">:(", "a > b", "5\n> $3"),
    *("and/or", "---", "***", "`**`", "```\nx", "] (", "10:30 - 11:00", "a_b_c", "foo(bar)[baz]"),
]


@each_row(("text", "read_as"), LEFT_OUT)
def test_a_mark_is_left_out(text: str, read_as: str) -> None:
    reading = read_markdown(text)
    assert reading is not None
    assert reading.text == read_as


def test_fenced_code_is_read_if_it_is_asked_for() -> None:
    reading = read_markdown("So:\n```python\nx = **y**\n```\nDone", "read")
    assert reading is not None
    assert reading.text == "So:\n\nx = **y**\n\nDone"
    quoted = read_markdown("> ```\n> x = y\n> ```\n> Done", "read")
    assert quoted is not None
    assert quoted.text == "\nx = y\n\nDone"


@each_row("text", STAYS)
def test_what_may_mean_something_stays(text: str) -> None:
    assert read_markdown(text) is None


SIGNS = (
    *("[", "![", "](", "[a](b.c", "[](a.a", '[b](a.a "', "((", "`", "`a", "``a`", "``` \n", "**", "**a "),
    *("_a_", "__a", "https://", "http://a@", "http://a.", "http://a/)", "www.", "- ", "-\t", "# ", "\n "),
    *("* a\n", "> ", "&amp;", "<a", "<!--", "\\", "1. ", "[a]: b\n", "a\n=\n"),
)
BEGINS = (
    "",
    "[](",
    "[](a",
    '[](a "',
    "- ",
    "# ",
    "```",
    "http://",
    "http://a@",
    "http://a/",
    "www.a",
    "\n &a",
)
PATTERNS = [
    pytest.param(pattern, id=f"{module.__name__.rpartition('.')[2]}.{name}")
    for module in (marks, reading)
    for name, pattern in vars(module).items()
    if isinstance(pattern, re.Pattern)
]


def _least_seconds(act: Callable[[], object]) -> float:
    """Time a call on the processor, up to three times: others may have cleared its caches."""

    def seconds() -> float:
        began = time.thread_time()
        act()
        return time.thread_time() - began

    return next((took for took in (seconds(), seconds()) if took < 0.01), seconds())


@pytest.mark.soak
@each_row("sign", SIGNS)
def test_no_text_takes_long(sign: str) -> None:
    text = (sign * 4096)[:4096]
    # Of the processor: 6 ms on a slow machine.
    assert _least_seconds(lambda: read_markdown(text)) < 0.05


@pytest.mark.soak
@each_row("pattern", PATTERNS)
def test_no_search_holds_the_interpreter(pattern: re.Pattern[str]) -> None:
    """A search lets no other thread run. One in time that grows with the text takes about 1 ms here, and one
    that grows with its square 50 to 200: between the two, 20 ms is what neither reaches.
    """

    fills = [*string.punctuation, " ", "\t", "\n", "a", "1", "a.", "\t'", "é"]
    texts = [(begin + fill * 4096)[:4094] + end for begin in BEGINS for fill in fills for end in ("", "a!")]
    texts += ["[](" + blank * 2000 + quote + "a" * 2000 for blank in " \t" for quote in "\"'<("]
    for text in texts:
        assert _least_seconds(partial(pattern.findall, text)) < 0.02, text[:20]
