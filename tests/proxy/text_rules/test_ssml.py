"""SSML as a text: what is read, which words have a sound of their own, and what is refused where."""

import string
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from policies import text_tags
from proxy.text_rules.ssml import MOST_LEVELS, SsmlFault, read_ssml
from tests.tables import each_row

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_W3C = '<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US">'
_TOMATO = '<phoneme alphabet="ipa" ph="təˈmɑːtəʊ">tomato</phoneme>'

READ: list[tuple[str, str, dict[str, str], str]] = [
    ("<speak>Hello.</speak>", "Hello.", {}, ""),
    ("  <speak> Hello,\n\t  you. </speak>\n", "Hello, you.", {}, ""),
    (f"{_HEAD}{_W3C}Hello.</speak>", "Hello.", {}, "en-US"),
    ("\ufeff<speak>Hello.</speak>", "Hello.", {}, ""),
    ('<?xml version="1.0" encoding="UTF-16"?><speak>Olá.</speak>', "Olá.", {}, ""),
    ('<speak xml:lang="pt-BR">Olá.</speak>', "Olá.", {}, "pt-BR"),
    ("<speak>One<break/>two</speak>", "One[pause 0.5s] two", {}, ""),
    ('<speak>One <break strength="none"/> two</speak>', "One two", {}, ""),
    ('<speak>One<break strength="x-weak"/>two</speak>', "One two", {}, ""),
    ('<speak>One <break strength="weak"/> two</speak>', "One [pause 0.25s] two", {}, ""),
    ('<speak>One <break strength="medium"/> two</speak>', "One [pause 0.5s] two", {}, ""),
    ('<speak>One <break strength="strong"/> two</speak>', "One [pause 1s] two", {}, ""),
    ('<speak>One <break strength="x-strong"></break> two</speak>', "One [pause 1.5s] two", {}, ""),
    ('<speak>One <break time="250ms"/> two</speak>', "One [pause 0.25s] two", {}, ""),
    ('<speak>One <break time=" 3s "/> two</speak>', "One [pause 3s] two", {}, ""),
    ('<speak>One <break time=".5s"/> two</speak>', "One [pause 0.5s] two", {}, ""),
    ('<speak>One <break time="+1.25S"/> two</speak>', "One [pause 1.25s] two", {}, ""),
    ('<speak>One <break time="0s" strength="strong"/> two</speak>', "One two", {}, ""),
    ('<speak>One <break time="10s"/><break/> two</speak>', "One [pause 10s] [pause 0.5s] two", {}, ""),
    ('<speak>One <break time="999999s"/> two</speak>', "One [pause 999999s] two", {}, ""),
    ("<speak>See<break/>(x)</speak>", "See[pause 0.5s] (x)", {}, ""),
    ("<speak><p><s>One</s><s>Two!</s></p><p>Three</p></speak>", "One. Two!\n\nThree.", {}, ""),
    ("<speak>\n  <p>\n    <s>One</s>\n  </p>\n</speak>", "One.", {}, ""),
    ("<speak><s>One <break/></s><s>Two</s></speak>", "One. [pause 0.5s] Two.", {}, ""),
    ('<speak><s>"One."</s><s>Two”</s></speak>', '"One." Two”.', {}, ""),
    ("<speak><s>One,</s><s>two</s></speak>", "One. two.", {}, ""),
    ("<speak>One<s>Two</s>three</speak>", "One. Two. three", {}, ""),
    ("<speak><s/><p></p><s>…</s>One</speak>", "… One", {}, ""),
    ("<speak><s>你好</s><s>नमस्ते</s></speak>", "你好。 नमस्ते।", {}, ""),
    ('<speak><sub alias="World Wide Web Consortium">W3C</sub></speak>', "World Wide Web Consortium", {}, ""),
    ('<speak>By <sub alias="A &amp; B">AB</sub>.</speak>', "By A & B.", {}, ""),
    (f"<speak>A {_TOMATO}.</speak>", "A tomato.", {"tomato": "/təˈmɑːtəʊ/"}, ""),
    (f"<speak>{_TOMATO}, {_TOMATO}</speak>", "tomato, tomato", {"tomato": "/təˈmɑːtəʊ/"}, ""),
    ('<speak><phoneme alphabet="IPA" ph=" a ">a\n b</phoneme></speak>', "a b", {"a b": "/a/"}, ""),
    ("<speak>Fish &amp; chips &lt;3 &#233;<!-- no --><?no ?></speak>", "Fish & chips <3 é", {}, ""),
    ("<speak><![CDATA[<break/>]]></speak>", "<break/>", {}, ""),
    ("<speak>[happy] One. [pause 1s] [Ana] Two.</speak>", "[happy] One. [pause 1s] [Ana] Two.", {}, ""),
    # ElevenLabs', LiveKit's, Kokoro-FastAPI's and Home Assistant's ways to write it.
    (
        '<speak>"Hold on, let me think." <break time="1.5s" /> "Alright, I’ve got it."</speak>',
        '"Hold on, let me think." [pause 1.5s] "Alright, I’ve got it."',
        {},
        "",
    ),
    (
        '<speak>I <phoneme alphabet="ipa" ph="ˈæktʃuəli">actually</phoneme> know.</speak>',
        "I actually know.",
        {"actually": "/ˈæktʃuəli/"},
        "",
    ),
    (
        '<speak><phoneme alphabet="ipa" ph="ˈaɪbjuˌproʊfɛn">ibuprofen</phoneme><break time="500ms"/></speak>',
        "ibuprofen[pause 0.5s]",
        {"ibuprofen": "/ˈaɪbjuˌproʊfɛn/"},
        "",
    ),
    (
        '<speak>Hi<break time="1s"/><sub alias="doctor">Dr.</sub> A</speak>',
        "Hi[pause 1s] doctor A",
        {},
        "",
    ),
    ("<speak>The door is <break strength='strong'/> open.</speak>", "The door is [pause 1s] open.", {}, ""),
    ("<speak></speak>", "", {}, ""),
]
REFUSED: list[tuple[str, str, int, int, str]] = [
    ("Hello.", "invalid_ssml", 1, 1, "<speak>"),
    ("", "invalid_ssml", 1, 1, "<speak>"),
    ("<p>Hello.</p>", "invalid_ssml", 1, 1, "<speak>"),
    ("<speak>a <3</speak>", "invalid_ssml", 1, 11, "well-formed"),
    ("<speak>a & b</speak>", "invalid_ssml", 1, 11, "write & as &amp;"),
    ("<speak><speak>a</speak></speak>", "unsupported_ssml", 1, 8, "leave it out"),
    ("<speak>\n<s>One</speak>", "invalid_ssml", 2, 9, "mismatched tag"),
    ("<speak>One", "invalid_ssml", 1, 11, "no element found"),
    ("<speak>a</speak> b", "invalid_ssml", 1, 18, "junk"),
    ("<speak>&nbsp;</speak>", "invalid_ssml", 1, 8, "undefined entity"),
    ('<!DOCTYPE speak SYSTEM "http://127.0.0.1/a.dtd"><speak>a</speak>', "invalid_ssml", 1, 48, "DTD"),
    ('<!DOCTYPE s [<!ENTITY a "b">]><speak>&a;</speak>', "invalid_ssml", 1, 13, "DTD"),
    ("<speak>\0</speak>", "invalid_ssml", 1, 8, "invalid token"),
    ("<speak>\ud800</speak>", "invalid_ssml", 1, 8, "invalid token"),
    ("\ufffe<speak>a</speak>", "invalid_ssml", 1, 1, "invalid token"),
    ('<speak><break time="1"/></speak>', "invalid_ssml", 1, 8, "time"),
    ('<speak>é<break time="-1s"/></speak>', "invalid_ssml", 1, 9, "time"),
    ('<speak><break time="1e3s"/></speak>', "invalid_ssml", 1, 8, "time"),
    ('<speak><break strength="loud"/></speak>', "invalid_ssml", 1, 8, "strength"),
    ("<speak><sub>W3C</sub></speak>", "invalid_ssml", 1, 8, "alias"),
    ('<speak><sub alias="a"><s>b</s></sub></speak>', "invalid_ssml", 1, 23, "<sub>"),
    ('<speak><phoneme alphabet="ipa">a</phoneme></speak>', "invalid_ssml", 1, 8, "'ph'"),
    ('<speak><phoneme alphabet="ipa" ph="a"/></speak>', "invalid_ssml", 1, 8, "word"),
    ('<speak><phoneme alphabet="ipa" ph="ˈ">a</phoneme></speak>', "invalid_ssml", 1, 8, "letter"),
    (f"<speak>{_TOMATO}{_TOMATO.replace('ɑː', 'eɪ')}</speak>", "invalid_ssml", 1, 63, "two sounds"),
    ('<speak xml:lang="no language">a</speak>', "invalid_ssml", 1, 1, "xml:lang"),
    (f"<speak>{'<s>' * 16}</speak>", "invalid_ssml", 1, 53, "16 levels"),
    ('<speak><prosody rate="slow">a</prosody></speak>', "unsupported_ssml", 1, 8, "<prosody>"),
    ("<speak>a\n <emphasis>b</emphasis></speak>", "unsupported_ssml", 2, 2, "<emphasis>"),
    ("<speak><amazon:effect/></speak>", "unsupported_ssml", 1, 8, "<amazon:effect>"),
    ("<speak><speak>a</speak></speak>", "unsupported_ssml", 1, 8, "<speak>"),
    ('<speak><s xml:lang="fr">a</s></speak>', "unsupported_ssml", 1, 8, "xml:lang"),
    (
        '<speak><phoneme alphabet="cmu-arpabet" ph="M AE1 D">Mad</phoneme></speak>',
        *("unsupported_ssml", 1, 8, "alphabet"),
    ),
]


@each_row(("ssml", "text", "words", "language"), READ)
def test_ssml_is_read_as_a_text(ssml: str, text: str, words: dict[str, str], language: str) -> None:
    assert read_ssml(ssml) == (text, words, language)


@each_row(("ssml", "code", "line", "column", "words"), REFUSED)
def test_what_is_wrong_is_named_with_its_place(
    ssml: str, code: str, line: int, column: int, words: str
) -> None:
    with pytest.raises(SsmlFault) as fault:
        read_ssml(ssml)
    assert (fault.value.code, fault.value.line, fault.value.column) == (code, line, column)
    assert words in str(fault.value)


def test_every_break_is_a_pause() -> None:
    for ssml, text, *_ in READ:
        if "<break" in ssml and "CDATA" not in ssml:
            breaks = ssml.count("<break") - ssml.count('"none"') - ssml.count('"x-weak"') - ssml.count('"0s"')
            assert len([*text_tags.find_pauses(text)]) == breaks


_BITS = [
    *(
        "<speak>",
        "</speak>",
        "<p>",
        "</p>",
        "<s>",
        "</s>",
        "<break/>",
        '<break time="1s"/>',
        "<sub alias='b'>",
    ),
    *("</sub>", _TOMATO, "<", ">", "&", "&amp;", "&#0;", "&a;", "<!DOCTYPE a [", '<!ENTITY a "&a;">', "]>"),
    *("<![CDATA[", "]]>", "<!--", "-->", "<?xml ?>", "\0", "\ufeff", "\ud800", "é", " ", "[pause 1s]", '="'),
]
_ANY = st.lists(st.sampled_from(_BITS) | st.text(max_size=6)).map("".join)
_DEEP = "<speak>" + "<s>" * 1000
_NAMES = [f"{a}{b}{c}=''" for a in string.ascii_letters for b in "abcd" for c in "wxyz"]
_MANY = f"<speak {' '.join(_NAMES)}>Hi</speak>"
_LAUGHS = '<!DOCTYPE a [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {name} "{10 * f"&{before};"}">' for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@given(
    _ANY
    | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))
    | st.binary().map(lambda data: "<speak>" + data.decode("latin-1"))
    | _ANY.map(lambda text: f"<speak>{text}</speak>")
)
@example(_DEEP)
@example(_MANY)
@example(f"{_LAUGHS}]><speak>&i;</speak>")
@example("<speak>Hi</speak>".encode("utf-16").decode("latin-1"))
@example("<speak>" + "<break/>" * 500)
@example("<speak>" + "<s/><break/>" * 340 + "</speak>")
@example("<speak>" + "".join(f"<phoneme alphabet='ipa' ph='a'>{n}</phoneme>" for n in range(90)) + "</speak>")
def test_any_text_is_read_or_refused_at_once(text: str) -> None:
    text, began = text[:4096], time.thread_time()
    fault: SsmlFault | None
    try:
        read: Any = read_ssml(text)
    except SsmlFault as raised:
        fault = raised
    else:
        fault = None
        assert len(read.text) <= 4 * len(text)
        assert all(word in read.text for word in read.words)
    if fault is not None:
        assert fault.code in ("invalid_ssml", "unsupported_ssml")
        assert 1 <= fault.line <= text.count("\n") + text.count("\r") + 1
        assert 1 <= fault.column <= len(text) + 1
    assert time.thread_time() - began < 0.02


def test_there_are_enough_levels() -> None:
    inner = MOST_LEVELS - 1
    assert read_ssml(f"<speak>{'<s>' * inner}a{'</s>' * inner}</speak>").text == "a."


@each_row(
    ("ssml", "text"),
    [
        ("Plain.", "Plain."),
        ("R&B, a <3 and 1 < 2 &amp; more", "R&B, a <3 and 1 < 2 & more"),
        ("<speak>Hi <loud>you</loud>.</speak>", "Hi you."),
        ('Hi <break time="1s"/> you.', "Hi [pause 1s] you."),
        ('<prosody rate="slow">Hi</prosody> <lang xml:lang="de">du</lang>.', "Hi du."),
        ('A <phoneme alphabet="cmu-arpabet" ph="T AH0">tomato</phoneme>.', "A tomato."),
        ("&nbsp;", "&nbsp;"),
    ],
)
def test_a_text_with_some_elements_in_it_will_do_if_that_is_wanted(ssml: str, text: str) -> None:
    assert read_ssml(ssml, is_lenient=True).text == text


@each_row("ssml", ["a </b> c", "<b>a", "<!DOCTYPE a>", "<speak>a</speak> b", '<break time="soon"/>'])
def test_what_has_no_sense_is_refused_in_any_case(ssml: str) -> None:
    with pytest.raises(SsmlFault):
        read_ssml(ssml, is_lenient=True)
