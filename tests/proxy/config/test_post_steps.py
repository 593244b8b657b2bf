"""`post` of [[routes]]: what it may say, and what `voxgate check` finds that cannot be done."""

from pathlib import Path

from msgspec.structs import replace

from policies.routing import PostStep
from proxy.config.finding import Finding, ProbeResults
from proxy.diagnosis import text_check
from proxy.engines import registry
from speech_engine import ModelInfo
from tests.proxy.config.files import faults, load
from tests.tables import each_row

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


@each_row(
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
        (f"[{ALWAYS[:-1]}, when = 'emotion:hapy' }}]", "'hapy' is no emotion; did you mean happy?"),
        (f"[{ALWAYS[:-1]}, when = 'emotion:purple' }}]", "'purple' is no emotion; known: neutral, happy"),
        (f"[{ALWAYS[:-1]}, pitch = 13 }}]", "routes.th.post.1.pitch: must be a number of semitones"),
        (f"[{ALWAYS}, {HAPPY}]", "routes.th.post.2.when: is never used"),
        (f"[{HAPPY}, {HAPPY}]", "routes.th.post.2.when: is never used"),
    ],
)
def test_a_fault_names_the_route_the_step_and_the_key(tmp_path: Path, post: str, line: str) -> None:
    assert any(line in each for each in faults(tmp_path, route(post)))


def test_an_engine_that_is_not_here_is_a_warning(tmp_path: Path) -> None:
    (warning,) = load(tmp_path, route('[{ engine = "gone", voice = "a" }]')).warnings
    assert warning.key == "routes.th.post.1.engine"
    assert "no [engines.gone] here" in warning.text


def test_an_engine_at_a_runner_is_refused(tmp_path: Path) -> None:
    elsewhere = '[runners.there]\nplugin = "tone"\n[engines.far]\nplugin = "tone"\nrunner = "there"\n'
    text = route('[{ engine = "far/standard", voice = "soft" }]') + elsewhere + "budget_usd_day = 1\n"
    assert "routes.th.post.1.engine: far works at a runner, where nothing is converted" in " ".join(
        faults(tmp_path, text)
    )


ANSWERED = ProbeResults(
    models={
        "tone": (
            ModelInfo(id="plain", languages=(), sample_rate_hz=24_000),
            ModelInfo(id="standard", languages=(), sample_rate_hz=24_000, converts=True),
            ModelInfo(id="high", languages=(), sample_rate_hz=24_000, converts=True, pitch=(-2.0, 5.0)),
        )
    },
    voices={"tone": frozenset({"soft", "loud"})},
)


def finding(folder: Path, text: str, results: ProbeResults = ANSWERED, sick: str = "") -> Finding:
    found = text_check.check_routes(load(folder, text), registry.load(), results, {sick})
    return next(each for each in found if each.name == "th")


@each_row(
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


@each_row(
    ("engine", "voice", "text"),
    [
        ("gone", "a", "no [engines.gone] for the post-step gone"),
        ("tone/small", "soft", "tone has no model of 'tone/small'"),
        ("tone", "theirs", "the voice 'theirs' of the post-step is not on tone"),
        ("espeak", "f3", "the post-step espeak does not repeat what espeak speaks itself"),
    ],
)
def test_check_says_why_nobody_repeats(tmp_path: Path, engine: str, voice: str, text: str) -> None:
    found = finding(tmp_path, route(f'[{{ engine = "{engine}", voice = "{voice}" }}]'))
    assert found.verdict == "note"
    assert text in found.found


@each_row(
    ("step", "found", "do"),
    [
        (
            'engine = "tone/plain", voice = "soft"',
            "the post-step tone/plain cannot be done: it does not convert",
            "name tone/standard",
        ),
        (
            'engine = "tone", voice = "soft", pitch = 3',
            "the post-step tone cannot be done: it has no pitch of 3",
            "leave out pitch: it cannot change that",
        ),
        (
            'engine = "tone/high", voice = "soft", pitch = -3',
            "the post-step tone/high cannot be done: it has no pitch of -3",
            "set pitch from -2 to 5",
        ),
        (
            'engine = "tone", voice = "sofd"',
            "tone has no voice 'sofd', and none of that name is saved for all accounts",
            "did you mean soft?; or save one for all accounts",
        ),
        ('engine = "tone", voice = "wrong"', "tone has no voice 'sofd'", "did you mean soft?"),
    ],
)
def test_what_can_never_be_done_is_wrong_and_check_says_what_to_do(
    tmp_path: Path, step: str, found: str, do: str
) -> None:
    text = route(f"[{{ {step} }}]") + "[voices.wrong]\ntone = 'sofd'\n"
    judged = finding(tmp_path, text)
    assert (judged.verdict, judged.do) == ("wrong", do)
    assert judged.found.endswith(found)


def test_an_engine_none_of_whose_models_convert_is_wrong(tmp_path: Path) -> None:
    plain = ProbeResults(models={"tone": ANSWERED.models["tone"][:1]})
    judged = finding(tmp_path, route(f"[{ALWAYS}]"), plain)
    assert (judged.verdict, judged.do) == ("wrong", "name an engine that converts, or leave the step out")


def test_a_voice_that_the_server_knows_as_saved_for_all_accounts_is_there(tmp_path: Path) -> None:
    saved = replace(ANSWERED, saved_voices=frozenset({"anna"}))
    assert finding(tmp_path, route('[{ engine = "tone", voice = "anna" }]'), saved).verdict == "ok"


@each_row(
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


@each_row(
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
    assert fault.key == "routes.th"
    assert "tone/small" in fault.text
