"""Who says what, and how: names of the cast and emotions are tags, everything else is text."""

import time
from itertools import pairwise

from hypothesis import assume, given
from hypothesis import strategies as st

from policies import text_tags
from policies.text_tags import EMOTIONS, NEUTRAL, Tag, Turn
from speech_engine.text import cleaning
from tests.tables import each_row

ABLE = ("happy", "sad", "of its own")
CAST = ("Ana", "Ben")


def said(text: str, names: tuple[str, ...] = CAST) -> list[tuple[str, str]]:
    return [(turn.name, text[turn.start : turn.end]) for turn in text_tags.find_turns(text, names)]


@each_row(
    ("text", "expected"),
    [
        ("[Ana] Olá. [Ben] Hi.", [("Ana", " Olá. "), ("Ben", " Hi.")]),
        ("[Ana]Olá.\n[Ben]Hi.\n[Ana]Bye.", [("Ana", "Olá.\n"), ("Ben", "Hi.\n"), ("Ana", "Bye.")]),
        ("Once upon a time. [Ben] Hi.", [("Ana", "Once upon a time. "), ("Ben", " Hi.")]),
        ("No tag at all.", [("Ana", "No tag at all.")]),
        ("[Ben] In the [Ana] middle.", [("Ben", " In the "), ("Ana", " middle.")]),
        ("[Ben] One. [Ben] Two.", [("Ben", " One. "), ("Ben", " Two.")]),
        ("[ANA] Loud. [ben] Soft.", [("Ana", " Loud. "), ("Ben", " Soft.")]),
        ("[ Ana ] Room. [Ana]", [("Ana", " Room. ")]),
        ("[Carl] is not here. [Ben] No.", [("Ana", "[Carl] is not here. "), ("Ben", " No.")]),
        ("[Ana] [laughs] Ha. [Ben [Ana] Hm.", [("Ana", " [laughs] Ha. [Ben "), ("Ana", " Hm.")]),
        ("[Ana][Ben] Hi.", [("Ben", " Hi.")]),
        ("[Ana] ... [Ben] Hi. [Ana] !?", [("Ben", " Hi. ")]),
        ("[Ana\n] is no tag.", [("Ana", "[Ana\n] is no tag.")]),
        ("[Ana] [Ben]", []),
        ("...", []),
    ],
)
def test_turns(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@each_row("tag", ["[José Luís]", "[JOSE\u0301 LUÍS]", "[ josé   luís ]"])
def test_a_name_is_known_however_its_accents_and_blanks_are_written(tag: str) -> None:
    assert said(f"{tag} Olá.", ("Ana", "José Luís")) == [("José Luís", " Olá.")]


def felt(text: str, names: tuple[str, ...] = (), able: tuple[str, ...] = ABLE) -> list[tuple[str, str]]:
    """What is said, by whom if there is a cast, and in which emotion."""
    return [
        (f"{turn.name} {each.emotion}".lstrip(), text[each.start : each.end].strip())
        for turn in text_tags.find_turns(text, names)
        for each in text_tags.split_turn(text, turn, able)
    ]


@each_row(
    ("text", "expected"),
    [
        ("[happy] Hello. [sad] Bye.", [("happy", "Hello."), ("sad", "Bye.")]),
        ("Well. [happy] Hello.", [("None", "Well."), ("happy", "Hello.")]),
        ("[happy] Hello. [neutral] Bye.", [("happy", "Hello."), ("neutral", "Bye.")]),
        ("[ HAPPY ] Loud.", [("happy", "Loud.")]),
        ("[\tHappy\u3000] Wide.", [("happy", "Wide.")]),
        ("[happy] One. [happy] Two.", [("happy", "One."), ("happy", "Two.")]),
        ("[happy] ... [sad] Bye. [happy] !?", [("sad", "Bye.")]),
        ("[happy][sad] Bye.", [("sad", "Bye.")]),
        ("Bye. [happy]", [("None", "Bye.")]),
        ("[happy]", []),
        (" [sad] ... ", []),
        # What is no tag is read.
        ("[angry] Grr.", [("None", "[angry] Grr.")]),
        ("[laughs] [happy] Ha.", [("None", "[laughs]"), ("happy", "Ha.")]),
        ("[of its own] Hm.", [("None", "[of its own] Hm.")]),
        ("[happy](https://a.b) is a link.", [("None", "[happy](https://a.b) is a link.")]),
        ("[happy] (aside) Hm.", [("happy", "(aside) Hm.")]),
        ("[hap py] [happy\n] [happy [[]] happy] (happy)", None),
        ("[happily] Hm.", None),
        ("No tag at all.", None),
    ],
)
def test_an_emotion_holds_until_the_next_one(text: str, expected: list[tuple[str, str]] | None) -> None:
    assert felt(text) == ([("None", text)] if expected is None else expected)


@each_row(
    ("text", "expected"),
    [
        ("[Ana] [happy] Hi. [Ben] Ho.", [("Ana happy", "Hi."), ("Ben None", "Ho.")]),
        (
            "[Ana] Hi. [sad] Oh. [Ana] Hm. [Ben] [sad] Ho.",
            [("Ana None", "Hi."), ("Ana sad", "Oh."), ("Ana None", "Hm."), ("Ben sad", "Ho.")],
        ),
        ("[happy] Hi. [Ben] Ho.", [("Ana happy", "Hi."), ("Ben None", "Ho.")]),
        ("[Ana] [happy] [Ben] Ho.", [("Ben None", "Ho.")]),
        ("[Ana] [angry] [Ben] Ho.", [("Ana None", "[angry]"), ("Ben None", "Ho.")]),
    ],
)
def test_an_emotion_ends_with_the_turn(text: str, expected: list[tuple[str, str]]) -> None:
    assert felt(text, CAST) == expected


@each_row("name", ["Happy", "HAPPY", "happy", "Neutral"])
def test_a_name_of_the_cast_wins(name: str) -> None:
    assert felt(f"[Ana] Hi. [ {name} ] Ho. [sad] Hm.", ("Ana", name)) == [
        ("Ana None", "Hi."),
        (f"{name} None", "Ho."),
        (f"{name} sad", "Hm."),
    ]


@each_row("able", [("happy",), (), ("of its own",), EMOTIONS])
def test_neutral_counts_for_every_voice(able: tuple[str, ...]) -> None:
    assert felt("[neutral] Hm.", able=able) == [(NEUTRAL, "Hm.")]


def test_a_text_whose_plan_may_be_kept_has_no_tag() -> None:
    assert text_tags.first_emotion("Hm. [ Whisper ] Hm.") == Tag("emotion", "whisper", 4, 15)
    for text in ("", "happy", "[happy](x)", "[laughs] [1] [", "[[ ]] Hm."):
        assert text_tags.first_emotion(text) is None


def test_blanks_take_the_place_of_tags_when_a_language_is_sought() -> None:
    text = "[Ana] [happy] Oi. [happy](x) [laughs] [Ben] Hm. [sad]"
    assert text_tags.without_tags(text) == "[Ana]         Oi. [happy](x) [laughs] [Ben] Hm.      "


texts = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "[Ana]",
                "[Ben]",
                "[Carl]",
                "[happy]",
                "[ SAD ]",
                "[neutral]",
                "[pause 1s]",
                *"([] ",
                "Hi.",
                "...",
            ]
        ),
        st.text(max_size=8),
    )
).map("".join)


@given(texts)
def test_turns_are_in_order_and_apart_and_miss_only_tags_and_silence(text: str) -> None:
    turns = text_tags.find_turns(text, CAST)
    at = 0
    left_out: list[str] = []
    for turn in turns:
        left_out.append(text[at : turn.start])
        assert at <= turn.start < turn.end <= len(text)
        assert cleaning.is_speech(text[turn.start : turn.end])
        at = turn.end
    left_out.append(text[at:])
    for between in left_out:
        for name in ("[Ana]", "[Ben]"):
            between = between.replace(name, "")
        assert not cleaning.is_speech(between)


@given(st.lists(st.tuples(st.sampled_from(CAST), st.sampled_from(["One.", "Zwei", "สาม"])), min_size=1))
def test_a_dialogue_that_is_written_down_is_read_back(dialogue: list[tuple[str, str]]) -> None:
    text = "".join(f"[{name}]{words}" for name, words in dialogue)
    assert said(text) == dialogue
    assert all(isinstance(turn, Turn) for turn in text_tags.find_turns(text, CAST))


@given(texts, st.sampled_from([(), CAST, ("happy", "Ben")]), st.lists(st.sampled_from([*EMOTIONS, "odd"])))
def test_passages_are_in_order_and_only_tags_and_silence_lie_between_them(
    text: str, names: tuple[str, ...], able: list[str]
) -> None:
    at = 0
    for turn in text_tags.find_turns(text, names):
        assert at <= turn.start < turn.end <= len(text)
        at = turn.start
        counted = {tag for tag in turn.tags if tag.value in able or tag.value == NEUTRAL}
        for each in text_tags.split_turn(text, turn, able):
            assert at <= each.start < each.end <= turn.end
            assert cleaning.is_speech(text[each.start : each.end])
            assert not any(each.start < tag.end and tag.start < each.end for tag in counted)
            assert each.emotion is None or each.emotion in able or each.emotion == NEUTRAL
            between = _without(text, at, each.start, counted)
            assert not cleaning.is_speech(between), between
            at = each.end
        assert not cleaning.is_speech(_without(text, at, turn.end, counted))
        at = turn.end


def _without(text: str, start: int, end: int, tags: set[text_tags.Tag]) -> str:
    inside = [(tag.start, tag.end) for tag in tags]
    return "".join(text[at] for at in range(start, end) if not any(a <= at < b for a, b in inside))


@each_row(
    ("text", "found"),
    [
        ("a [pause 0.5s] b", [(2, 14, 0.5)]),
        ("[Pause:500MS][pause: 2s]", [(0, 13, 0.5), (13, 24, 2.0)]),
        ("[pause\t1 s]", [(0, 11, 1.0)]),
        ("[[pause 0s]]", [(1, 11, 0.0)]),
        ("[pause] [pause s] [pause 5] [pause 5m] [pause -1s] [pause 1e9s] [pause .5s] [pause 1,5s]", []),
        ("[pause1s] [pause  ] [ pause 1s] [paus\u017f 1s] [pause 1\u017f] [pause \u0661s]", []),
        ("[pause 1s](x) [pause\n1s]", []),
    ],
)
def test_a_pause_is_a_number_of_seconds_or_milliseconds(
    text: str, found: list[tuple[int, int, float]]
) -> None:
    assert [*text_tags.find_pauses(text)] == found
    assert "pause" not in text_tags.without_tags(text) or not found


@each_row(
    ("text", "place"),
    [
        ("[pause 10s] [pause 9s]", None),
        ("a [pause 10001ms]", 2),
        ("[pause 10s] [pause 10s] [pause 1ms]", 24),
        (f"[pause {'9' * 5000}s]", 0),
    ],
)
def test_the_first_pause_that_is_too_long_is_named(text: str, place: int | None) -> None:
    found = text_tags.excessive_pause(text, 20.0)
    assert (found.start if found else None) == place


@given(texts)
def test_a_text_that_was_read_has_no_more_tags_and_the_same_places(text: str) -> None:
    read = text_tags.without_tags(text)
    assert len(read) == len(text)
    assert text_tags.without_tags(read) == read
    assert text_tags.first_emotion(read) is None


@given(texts)
def test_without_a_cast_a_text_is_one_turn(text: str) -> None:
    assume(NEUTRAL not in text.casefold())
    found = text_tags.find_turns(text)
    assert [(turn.name, turn.start, turn.end) for turn in found] == (
        [("", 0, len(text))] if cleaning.is_speech(text) else []
    )
    assert bool(found and found[0].tags) == (text_tags.first_emotion(text) is not None)
    whole = [each for turn in found for each in text_tags.split_turn(text, turn, ())]
    assert [(each.start, each.end, each.emotion) for each in whole] == [(0, len(text), None)] * len(found)


@each_row(
    ("text", "expected"),
    [
        ("ANA: Olá.\nBEN: Hi.\nana: Bye.", [("Ana", " Olá.\n"), ("Ben", " Hi.\n"), ("Ana", " Bye.")]),
        ("**BEN:** Hi.\n**Ana**: Bye.", [("Ben", " Hi.\n"), ("Ana", " Bye.")]),
        ("BEN：你好。\nAna： 你好。", [("Ben", "你好。\n"), ("Ana", " 你好。")]),
        ("  BEN :\nHi.\r\n\tAna:\r\nBye.", [("Ben", "\nHi.\r\n"), ("Ana", "\r\nBye.")]),
        ("\ufeffBen: Hi.", [("Ben", " Hi.")]),
        (
            "> Ben: Hi.\n- Ana: Bye.\n### __BEN__: So.",
            [("Ben", " Hi.\n"), ("Ana", " Bye.\n"), ("Ben", " So.")],
        ),
        ("BEN: Hi. [Ana] Bye.\nBen: So.", [("Ben", " Hi. "), ("Ana", " Bye.\n"), ("Ben", " So.")]),
        ("Once.\nBen:", [("Ana", "Once.\n")]),
        # A colon in the middle of a line, of a word, or behind another name is text.
        ("I told BEN: go.", [("Ana", "I told BEN: go.")]),
        ("ben:hi\nAna:Bye", [("Ana", "ben:hi\nAna:Bye")]),
        ("Carl: Hi.\nhttps://x.y\n12:30 Ben", [("Ana", "Carl: Hi.\nhttps://x.y\n12:30 Ben")]),
        ("Ben\n: Hi.", [("Ana", "Ben\n: Hi.")]),
        ("*********Ben: Hi.", [("Ana", "*********Ben: Hi.")]),
    ],
)
def test_a_name_may_begin_a_line_as_in_a_script(text: str, expected: list[tuple[str, str]]) -> None:
    assert said(text) == expected


@each_row("name", ["A", "A:B", "พิมพ์", "😀", "a" * 64, "José Luís", "12", "Ana (off)"])
def test_any_name_of_a_cast_may_begin_a_line(name: str) -> None:
    assert said(f"{name.upper()}: Hi.", ("Narrator", name)) == [(name, " Hi.")]
    assert said(f"{name}: Hi.", (name,)) == [(name, " Hi.")]


_LINES = st.lists(
    st.sampled_from(
        ["ANA: ", "**Ben:** ", "Ben：", "[Ana]", "[sad] ", "Carl: ", "Hi. ", ":", "12:30 ", "\n", "[", " "]
    )
).map("".join)


@given(_LINES)
def test_all_that_is_not_a_tag_is_said_by_one(text: str) -> None:
    found = text_tags.find_turns(text, CAST)
    assert all(one.end <= other.start for one, other in pairwise(found))
    tagged = {turn.name for turn in found if turn.name_start is not None}
    assert not tagged & set(text_tags.unused_names(text, CAST))


@given(_LINES)
def test_a_text_in_which_no_line_begins_with_a_name_is_said_as_before(text: str) -> None:
    lines = "\n".join(f". {line}" for line in text.split("\n"))
    found = text_tags.find_turns(lines, CAST)
    assert all(lines[turn.start - 1] == "]" for turn in found if turn.name_start is not None)
    assert text_tags.find_turns(text, ("Zoë", "Eva")) == tuple(
        [
            turn._replace(name="Zoë" if turn.name == "Cy" else turn.name)
            for turn in text_tags.find_turns(text, ("Cy",))
        ]
    )


def test_names_that_a_text_lacks_and_lines_that_look_like_names_are_told() -> None:
    text = (
        "ANA: Hi.\nCarl: So.\n**carl:** Oh.\nDr Zé Luís: A.\nDr Zé Luís: B.\nOnce: no.\n"
        + "In the old city: x.\n" * 2
    )
    assert text_tags.unused_names(text, ("Ana", "Ben", "Eva")) == ("Ben", "Eva")
    assert text_tags.likely_names(text, ("Ana", "Ben")) == ("Carl", "Dr Zé Luís")
    assert text_tags.likely_names("12: 30\n12: 30\nhttps://a.b\nhttps://a.b") == ()
    many = "".join(f"N{number}: Hi.\n" * 2 for number in range(10_000))
    assert len(text_tags.likely_names(many)) == text_tags.MOST_NAMES


_MILLION = 1_000_000


@each_row(
    "letters",
    [
        " ",
        "\t",
        "\n",
        "*",
        "a",
        "a ",
        "a:",
        ":",
        "[",
        "A: \n",
        "* " * 4 + "a" * 64 + "*" * 4 + "\n",
        "a" + " " * 70 + "\n",
    ],
)
def test_no_text_takes_long(letters: str) -> None:
    text = letters * (_MILLION // len(letters))
    began = time.process_time()
    text_tags.find_turns(text, CAST)
    text_tags.likely_names(text, CAST)
    assert time.process_time() - began < 10  # without its bounds, the pattern takes minutes
