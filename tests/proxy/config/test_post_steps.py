"""`post` of [[routes]]: what it may say, and what `voxgate check` finds that cannot be done."""

from __future__ import annotations

from pathlib import Path

import pytest

from policies.routing import PostStep
from proxy.config.finding import Finding, ProbeResults
from proxy.diagnosis import text_check
from proxy.engines import registry
from speech_engine import ModelInfo
from tests.proxy.config.files import faults, load

HERE = "[engines.tone]\n[engines.espeak]\n"
BOUND = "[voices.mine]\ntone = 'soft'\n[voices.theirs]\nespeak = 'f3'\n"


def route(post: str, candidates: str = '["espeak/standard"]') -> str:
    return f'{HERE}{BOUND}[[routes]]\nlanguage = "th"\ncandidates = {candidates}\npost = {post}\n'


def test_steps_are_read_in_their_order_and_emotions_as_requests_name_them(tmp_path: Path) -> None:
    text = route(
        '[{ engine = "tone", voice = "soft", when = "emotion:Happy", pitch = 2 },'
        ' { engine = "tone/standard", voice = "mine" }]'
    )
    loaded = load(tmp_path, text)
    assert loaded.routes[0].post == (
        PostStep(engine="tone", voice="soft", emotion="happy", pitch=2.0),
        PostStep(engine="tone/standard", voice="mine"),
    )
    assert [step.when for step in loaded.routes[0].post] == ["emotion:happy", None]
    assert loaded.warnings == ()


def test_a_route_may_have_nothing_else(tmp_path: Path) -> None:
    text = f'{HERE}[[routes]]\nlanguage = "th"\npost = [{{ engine = "tone", voice = "soft" }}]\n'
    assert load(tmp_path, text).routes[0].candidates == ()


ALWAYS = '{ engine = "tone", voice = "soft" }'
HAPPY = '{ engine = "tone", voice = "soft", when = "emotion:happy" }'


@pytest.mark.parametrize(
    ("post", "line"),
    [
        ("5", "routes.th.post: must be a list of tables"),
        ('["tone"]', "routes.th.post: must be a list of tables"),
        ('[{ engine = "tone" }]', "routes.th.post.1.voice: must be a name in quotes; it is missing"),
        ('[{ voice = "soft" }]', "routes.th.post.1.engine: must be a name in quotes; it is missing"),
        ('[{ engine = "", voice = "soft" }]', "routes.th.post.1.engine: must be a name in quotes"),
        (f"[{HAPPY}, {{ engine = 1, voice = 2 }}]", "routes.th.post.2.voice: must be a name in quotes"),
        (f"[{ALWAYS[:-1]}, wenn = 'x' }}]", "routes.th.post.1.wenn: no such key; did you mean when?"),
        (f"[{ALWAYS[:-1]}, when = 'happy' }}]", 'routes.th.post.1.when: must be "emotion:NAME"'),
        (f"[{ALWAYS[:-1]}, when = 'emotion:' }}]", 'routes.th.post.1.when: must be "emotion:NAME"'),
        (f"[{ALWAYS[:-1]}, when = 'emotion:a b' }}]", 'routes.th.post.1.when: must be "emotion:NAME"'),
        (f"[{ALWAYS[:-1]}, when = 'emotion:Neutral' }}]", "routes.th.post.1.when: neutral is how"),
        (f"[{ALWAYS[:-1]}, pitch = 13 }}]", "routes.th.post.1.pitch: must be a number of semitones"),
        (f"[{ALWAYS}, {HAPPY}]", "routes.th.post.2.when: is never used"),
        (f"[{HAPPY}, {HAPPY}]", "routes.th.post.2.when: is never used"),
    ],
)
def test_a_fault_names_the_route_the_step_and_the_key(tmp_path: Path, post: str, line: str) -> None:
    assert any(line in each for each in faults(tmp_path, route(post)))


@pytest.mark.parametrize(
    ("post", "key", "text"),
    [
        ('[{ engine = "gone", voice = "a" }]', "routes.th.post.1.engine", "no [engines.gone] here"),
        (
            '[{ engine = "tone", voice = "soft", when = "emotion:hapy" }]',
            "routes.th.post.1.when",
            "did you mean happy?",
        ),
    ],
)
def test_what_may_be_meant_otherwise_is_a_warning(tmp_path: Path, post: str, key: str, text: str) -> None:
    (warning,) = load(tmp_path, route(post)).warnings
    assert (warning.key, text in warning.text) == (key, True)


ANSWERED = ProbeResults(
    models={
        "tone": (
            ModelInfo(id="plain", languages=(), sample_rate_hz=24_000),
            ModelInfo(id="standard", languages=(), sample_rate_hz=24_000, converts=True),
        )
    },
    voices={"tone": frozenset({"soft", "loud"})},
)


def finding(folder: Path, text: str, results: ProbeResults = ANSWERED, sick: str = "") -> Finding:
    found = text_check.routes(load(folder, text), registry.load(), results, {sick})
    return next(each for each in found if each.name == "th")


@pytest.mark.parametrize(
    ("engine", "voice"),
    [
        ("tone", "soft"),
        ("tone", "tone/soft"),
        ("tone/standard", "mine"),
    ],
)
def test_check_says_who_repeats(tmp_path: Path, engine: str, voice: str) -> None:
    found = finding(tmp_path, route(f'[{{ engine = "{engine}", voice = "{voice}" }}]'))
    assert found.verdict == "ok"
    assert found.found.endswith(f"; repeated by {engine} as {voice}")


@pytest.mark.parametrize(
    ("engine", "voice", "text"),
    [
        ("gone", "a", "no [engines.gone] for the post-step gone"),
        ("tone/small", "soft", "tone has no model of 'tone/small'"),
        ("tone/plain", "soft", "the post-step tone/plain cannot be done: it does not convert"),
        ("tone", "theirs", "the voice 'theirs' of the post-step is not on tone"),
        ("tone", "quiet", "tone has no voice 'quiet', so it must be one that was saved for all accounts"),
        ("espeak", "f3", "the post-step espeak does not repeat what espeak speaks itself"),
    ],
)
def test_check_says_why_nobody_repeats(tmp_path: Path, engine: str, voice: str, text: str) -> None:
    found = finding(tmp_path, route(f'[{{ engine = "{engine}", voice = "{voice}" }}]'))
    assert found.verdict == "note"
    assert text in found.found


def test_check_says_that_a_voice_of_the_file_is_not_on_the_engine_that_answers(tmp_path: Path) -> None:
    text = route('[{ engine = "tone", voice = "mine" }]').replace("'soft'", "'sofd'")
    assert "tone has no voice 'sofd'; did you mean soft?" in finding(tmp_path, text).found


@pytest.mark.parametrize(
    ("plan", "is_refused"),
    [
        ("", False),
        ('engines = ["tone"]', False),
        ('engines = ["espeak"]', True),
        ('prices.speech = { credits = 1, per = "minute" }', False),
        ('prices.speech = { credits = 1, per = "character" }', True),
        (
            'prices.speech = { credits = 1, per = "character" }\n'
            'prices.conversion = { credits = 1, per = "minute" }',
            False,
        ),
    ],
)
def test_check_names_the_plans_whose_accounts_the_route_refuses(
    tmp_path: Path, plan: str, is_refused: bool
) -> None:
    found = finding(tmp_path, f"{route(f'[{ALWAYS}]')}[plans.small]\n{plan}\n")
    refused = "refused to the plans small: they lack tone, or a price for conversions"
    assert (refused in found.found, found.verdict == "note") == (is_refused, is_refused)


def test_an_engine_that_cannot_run_repeats_nothing(tmp_path: Path) -> None:
    found = finding(tmp_path, route(f"[{ALWAYS}]"), sick="tone")
    assert "tone, for the post-step tone, cannot run" in found.found


@pytest.mark.parametrize(
    ("others", "is_told"),
    [
        ([], False),
        ([("tone", "espeak")], True),
        ([("tone", "piper")], False),
        ([("tone", "piper"), ("piper", "espeak")], True),
        ([("espeak", "piper"), ("piper", "kokoro")], False),
    ],
    ids=["alone", "both ways", "onwards", "round", "elsewhere"],
)
def test_check_tells_of_engines_that_repeat_each_other(
    tmp_path: Path, others: list[tuple[str, str]], is_told: bool
) -> None:
    text = route(f"[{ALWAYS}]") + "".join(
        f'[[routes]]\nlanguage = "{language}"\ncandidates = ["{speaks}/standard"]\n'
        f'post = [{{ engine = "{repeats}", voice = "a" }}]\n'
        for language, (speaks, repeats) in zip(("de", "fr"), others, strict=False)
    )
    found = finding(tmp_path, text)
    told = "tone and espeak repeat each other's speech"
    assert (told in found.found, found.verdict == "note") == (is_told, is_told)


def test_a_model_that_the_engine_lacks_is_told_with_its_route(tmp_path: Path) -> None:
    from proxy.config.model_names import find_misnamed

    loaded = load(tmp_path, route('[{ engine = "tone/small", voice = "soft" }]'))
    (fault,) = find_misnamed(loaded, {"tone": ("standard",)})
    assert fault.where == "routes.th"
    assert "tone/small" in fault.reason
