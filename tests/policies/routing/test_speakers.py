"""Voices of recordings and mixes: which models speak them, with what, and what a refusal says."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from policies.namesakes import NameShare
from policies.plans import Terms
from policies.routing import (
    Binding,
    Decision,
    Model,
    Offer,
    RoutingQuery,
    Voice,
    decide,
    find_emotions,
    voice_text,
)
from policies.sample_quality import PART_S
from speech_engine import EngineVoice, Mix, ModelInfo, Sample, Samples
from speech_engine.values import find_samples
from tests.policies.routing.worlds import ANYONE, NO_RULES, info, plan, voice
from tests.tables import each_row

SHORT, LONG, READ = Sample("s", seconds=2.0), Sample("l", seconds=9.0), Sample("r", "Hello.", seconds=9.0)
OWNED = Voice(id="voice_1", name="me", samples=(LONG,), account="acc_1")
CLONING = info("en", speaks_samples=True)


def decided(by: Voice, *models: Model, terms: Terms = ANYONE, emotion: str | None = None) -> Decision:
    query = RoutingQuery(language="en", emotion=emotion)
    return decide(Offer(models=models), by, query, terms, NO_RULES)


def spoken(by: Voice, stated: ModelInfo, engine: str = "red", emotion: str | None = None) -> object:
    found = decided(by, Model(engine, stated), emotion=emotion)
    assert found.error is None, found.error.message
    return found.candidates[0].voice


def refused(
    by: Voice, *models: Model, terms: Terms = ANYONE, emotion: str | None = None
) -> tuple[str, str, str, bool]:
    error = decided(by, *models, terms=terms, emotion=emotion).error
    assert error is not None
    return error.field, error.code, error.message, error.is_forbidden


def mixed(*members: Voice) -> Voice:
    share = 1 / len(members)
    return Voice(
        id="+".join(member.id for member in members),
        name="blend",
        mix=tuple((member.id, share) for member in members),
        members=members,
    )


def test_a_voice_of_recordings_needs_no_binding_where_a_model_speaks_from_them() -> None:
    assert spoken(OWNED, CLONING) == Samples((LONG,))
    field, code, message, _ = refused(OWNED, Model("red", info("en")))
    assert (field, code) == ("voice", "voice_not_available")
    assert "recordings" in message


def test_a_clone_at_a_provider_goes_before_the_recordings_and_brings_its_credential() -> None:
    bound = replace(OWNED, bindings=(Binding("red", EngineVoice("voxgate-1"), "second"),))
    found = decided(bound, Model("red", CLONING), Model("blue", CLONING)).candidates
    assert [(each.voice, each.credential) for each in found] == [
        (EngineVoice("voxgate-1"), "second"),
        (Samples((LONG,)), ""),
    ]


def test_recordings_speak_while_the_clone_is_being_made() -> None:
    making = replace(OWNED, bindings=(Binding("red", EngineVoice(""), obstacle="it is being made"),))
    assert spoken(making, CLONING) == Samples((LONG,))


def test_a_binding_that_is_not_ready_is_passed_over_and_alone_it_is_a_matter_of_time() -> None:
    making = Binding("red", EngineVoice(""), obstacle="it is being made")
    by = Voice(id="voice_1", name="me", bindings=(making, Binding("blue", EngineVoice("b"))))
    found = decided(by, Model("red", info("en")), Model("blue", info("en")))
    assert [each.model.engine for each in found.candidates] == ["blue"]
    assert [(each.refused_by, "being made" in each.reason) for each in found.verdicts] == [
        ("ready", True),
        (None, False),
    ]
    error = decided(replace(by, bindings=(making,)), Model("red", info("en"))).error
    assert error is not None
    assert (error.field, error.code, error.retry_after_s) == ("voice", "voice_not_ready", 5.0)


def test_a_binding_that_is_ready_goes_before_one_that_is_not() -> None:
    both = (
        Binding("red", EngineVoice("old"), "first", "its credential is gone"),
        Binding("red", EngineVoice("new"), "second"),
    )
    found = decided(Voice(id="v", name="v", bindings=both), Model("red", info("en"))).candidates
    assert [(each.voice, each.credential) for each in found] == [(EngineVoice("new"), "second")]


def test_recordings_that_are_too_short_are_left_out_or_refused_by_their_length() -> None:
    assert spoken(replace(OWNED, samples=(SHORT, LONG)), CLONING) == Samples((LONG,))
    field, code, message, _ = refused(replace(OWNED, samples=(SHORT,)), Model("red", CLONING))
    assert (field, code) == ("voice", "sample_too_short")
    assert "3 s" in message


def test_a_recording_of_unknown_length_is_tried() -> None:
    unknown = Sample("u")
    assert spoken(replace(OWNED, samples=(unknown,)), CLONING) == Samples((unknown,))


def test_a_model_that_needs_the_words_gets_those_recordings_that_have_them() -> None:
    reading = replace(CLONING, needs_sample_text=True)
    assert spoken(replace(OWNED, samples=(LONG, READ)), reading) == Samples((READ,))
    assert spoken(replace(OWNED, samples=(LONG, READ)), CLONING) == Samples((LONG, READ))
    field, code, _, _ = refused(OWNED, Model("red", reading))
    assert (field, code) == ("voice", "reference_text_required")


def test_the_words_of_a_recording_that_is_cut_are_not_given_to_a_model() -> None:
    cut = Sample("c", "Hello, and much more.", seconds=70.0, speech_s=31.0)
    trimmed = replace(cut, speech_s=30.0)
    reading = replace(CLONING, sample_s=(3.0, 30.0), needs_sample_text=True)
    by = replace(OWNED, samples=(cut,))
    field, code, message, _ = refused(by, Model("red", reading))
    assert (field, code) == ("voice", "sample_too_long")
    assert "up to 30 s" in message
    assert spoken(by, CLONING) == Samples((replace(cut, text=""),))
    assert spoken(replace(OWNED, samples=(cut, READ)), reading) == Samples((READ,))
    assert spoken(replace(OWNED, samples=(trimmed,)), reading) == Samples((trimmed,))


def test_a_model_that_takes_less_gets_the_part_whose_words_are_known() -> None:
    whole = Sample("c", "Hello, and much more.", seconds=20.0, speech_s=19.0, part="Hello,")
    reading = replace(CLONING, sample_s=(3.0, PART_S), needs_sample_text=True)
    by = replace(OWNED, samples=(whole,))
    assert spoken(by, reading) == Samples((replace(whole, text="Hello,", part=""),))
    assert spoken(by, replace(reading, sample_s=(3.0, 30.0))) == Samples((whole,))
    assert spoken(by, replace(reading, needs_sample_text=False)) == Samples(
        (replace(whole, text="", part=""),)
    )
    # The part may be longer than this model takes.
    assert refused(by, Model("red", replace(reading, sample_s=(3.0, 10.0))))[1] == "sample_too_long"
    without = replace(OWNED, samples=(replace(whole, part=""),))
    assert refused(without, Model("red", reading))[1] == "sample_too_long"


@each_row(("providers", "is_let"), [(None, True), (("red", "blue"), True), ((), False)])
def test_only_providers_that_the_consent_names_may_receive_a_voice(
    providers: tuple[str, ...] | None, is_let: bool
) -> None:
    by = replace(OWNED, providers=providers)
    cloud = Model("red", replace(CLONING, is_local=False))
    assert bool(decided(by, cloud).candidates) is is_let
    assert decided(by, Model("red", CLONING)).candidates
    assert (
        decided(mixed(by, OWNED), Model("red", replace(cloud.info, mixes=True))).error is None or not is_let
    )
    if not is_let:
        field, code, message, is_forbidden = refused(by, cloud)
        assert (field, code, is_forbidden) == ("voice", "consent_not_given", True)
        assert "red" in message


def test_a_plan_that_keeps_texts_at_home_keeps_voices_there() -> None:
    cloud = Model("red", replace(CLONING, is_local=False))
    _, code, _, is_forbidden = refused(OWNED, cloud, terms=plan(local_only=True))
    assert (code, is_forbidden) == ("model_not_allowed", True)


def test_a_mix_is_blended_of_what_its_members_are_on_the_engine() -> None:
    blend = mixed(OWNED, voice("red", "blue"))
    mixing = replace(CLONING, mixes=True)
    parts = ((Samples((LONG,)), 0.5), (EngineVoice("red-v"), 0.5))
    assert spoken(blend, mixing) == Mix(parts)
    assert voice_text(Mix(parts)) == "mix:samples:l*0.5+red-v*0.5"
    field, code, message, _ = refused(blend, Model("red", CLONING))
    assert (field, code) == ("voice.mix", "unsupported_value")
    assert message == "red/m cannot mix voices."


def test_a_mix_of_more_voices_than_a_model_takes_is_refused_by_their_number() -> None:
    pair = replace(info("en"), mixes=True, most_mixed=2)
    assert spoken(mixed(voice("red"), voice("red")), pair)
    _, _, message, _ = refused(mixed(*[voice("red")] * 3), Model("red", pair))
    assert message == "red/m mixes at most 2 voices."


def test_a_mix_needs_all_its_members_on_one_engine_and_one_provider_account() -> None:
    mixing = Model("red", replace(info("en"), mixes=True))
    assert refused(mixed(voice("red"), voice("blue")), mixing)[:2] == ("voice", "voice_not_available")
    of = [Voice(id=c, name=c, bindings=(Binding("red", EngineVoice(c), c),)) for c in ("", "a", "b")]
    assert decided(mixed(of[0], of[1]), mixing).candidates[0].credential == "a"
    assert refused(mixed(of[1], of[2]), mixing)[:2] == ("voice", "voice_not_available")


def test_a_mix_waits_for_the_member_that_is_not_ready() -> None:
    making = Voice(id="w", name="w", bindings=(Binding("red", EngineVoice(""), obstacle="it is being made"),))
    mixing = Model("red", replace(info("en"), mixes=True))
    assert refused(mixed(voice("red"), making), mixing)[:2] == ("voice", "voice_not_ready")


def test_a_mix_of_names_that_are_one_voice_is_refused_where_nobody_has_them_apart() -> None:
    def name(id_: str, red: str, blue: str) -> Voice:
        bindings = [
            Binding(engine, EngineVoice(by), shares=(NameShare("en", id_, by),))
            for engine, by in (("red", red), ("blue", blue))
        ]
        return Voice(id=id_, name=id_, bindings=tuple(bindings))

    blend = mixed(name("nova", "joe", "eva"), name("coral", "joe", "bia"))
    mixing = info("en", mixes=True, most_mixed=4)
    found = decided(blend, Model("red", mixing), Model("blue", mixing))
    assert [voice_text(each.voice) for each in found.candidates] == ["mix:eva*0.5+bia*0.5"]
    field, code, message, _ = refused(blend, Model("red", mixing))
    assert (field, code) == ("voice.mix", "unsupported_value")
    assert message.startswith("red/m has one and the same voice for several members of the mix")
    plain = Voice(id="own", name="own", bindings=(Binding("red", EngineVoice("joe")),))
    assert refused(mixed(name("nova", "joe", "eva"), plain), Model("red", mixing))[0] == "voice.mix"


def clip(tag: str, digest: str = "", **more: object) -> Sample:
    return replace(Sample(digest or f"{tag or 'plain'}-clip", tag=tag, seconds=9.0), **more)


FELT = replace(OWNED, samples=(clip(""), clip("happy"), clip("", "more"), clip("sad"), clip("happy", "joy")))
MIXING = replace(CLONING, mixes=True)


@each_row(
    ("emotion", "of_model", "digests"),
    [
        (None, (), ["plain-clip", "more"]),
        (None, ("happy",), ["plain-clip", "more"]),
        ("happy", (), ["happy-clip", "joy"]),
        ("sad", ("happy",), ["sad-clip"]),
        # The model knows how to be happy with any voice: it gets the voice as it is.
        ("happy", ("happy",), ["plain-clip", "more"]),
        ("angry", ("angry",), ["plain-clip", "more"]),
    ],
)
def test_a_model_gets_the_recordings_of_one_tag(
    emotion: str | None, of_model: tuple[str, ...], digests: list[str]
) -> None:
    voice = spoken(FELT, replace(CLONING, emotions=of_model), emotion=emotion)
    assert isinstance(voice, Samples)
    assert [each.digest for each in voice.samples] == digests


@each_row("emotion", [None, "happy"])
@each_row("reads", [False, True])
def test_a_voice_of_many_recordings_is_spoken_with_the_first_ones(emotion: str | None, reads: bool) -> None:
    usable = [clip(tag, f"{tag}{number}", text="Hi.") for number in range(20) for tag in ("", "happy")]
    unusable = [clip(tag, seconds=1.0) for tag in ("", "happy")]
    many = replace(FELT, samples=(*unusable, *usable))
    voice = spoken(many, replace(CLONING, needs_sample_text=reads), emotion=emotion)
    assert isinstance(voice, Samples)
    assert [each.digest for each in voice.samples] == [f"{emotion or ''}{number}" for number in range(4)]


@each_row(
    ("by", "of_model", "message"),
    [
        (FELT, (), "'emotion' is 'angry', which red/m with 'me' cannot express; it knows: happy, sad."),
        (
            FELT,
            ("calm", "sad"),
            "'emotion' is 'angry', which red/m with 'me' cannot express; it knows: calm, sad, happy.",
        ),
        (OWNED, (), "'emotion' is 'angry', which red/m with 'me' cannot express; it knows: none."),
        (voice("red"), ("calm",), "'emotion' is 'angry', which red/m cannot express; it knows: calm."),
        # A clone at the engine has one recording, and speaks in its way.
        (
            replace(FELT, bindings=(Binding("red", EngineVoice("clone")),)),
            ("calm",),
            "'emotion' is 'angry', which red/m with 'me' cannot express; it knows: calm.",
        ),
    ],
)
def test_an_unknown_emotion_is_refused_with_those_of_model_and_voice(
    by: Voice, of_model: tuple[str, ...], message: str
) -> None:
    able = Model("red", replace(CLONING, emotions=of_model))
    assert refused(by, able, emotion="angry") == ("emotion", "unsupported_value", message, False)


def test_recordings_of_an_emotion_are_judged_by_themselves() -> None:
    whispers = replace(FELT, samples=(clip("", text="Hi."), clip("whisper", seconds=2.0)))
    assert refused(whispers, Model("red", CLONING), emotion="whisper")[1:3] == (
        "sample_too_short",
        "red/m needs a recording of 3 s or more for 'whisper'; 'me' has none.",
    )
    assert spoken(whispers, CLONING) == Samples((clip("", text="Hi."),))
    reading = replace(CLONING, needs_sample_text=True)
    long = replace(
        FELT, samples=(clip("", text="Hi."), clip("whisper"), clip("sad", text="Oh.", speech_s=40))
    )
    assert refused(long, Model("red", reading), emotion="whisper")[1] == "reference_text_required"
    assert refused(long, Model("red", reading), emotion="sad")[1] == "sample_too_long"
    assert spoken(long, reading) == Samples((clip("", text="Hi."),))
    # Where the model has the emotion, the plain ones are judged.
    short = replace(FELT, samples=(clip("", seconds=1.0), clip("sad")))
    found = refused(short, Model("red", replace(CLONING, emotions=("sad",))), emotion="sad")
    assert found[2] == "red/m needs a recording of 3 s or more; 'me' has none."


def test_a_voice_without_a_plain_recording_is_refused_unless_it_is_to_be_felt() -> None:
    felt = replace(FELT, samples=(clip("happy"),))
    assert refused(felt, Model("red", CLONING))[1] == "sample_too_short"
    assert spoken(felt, CLONING, emotion="happy") == Samples((clip("happy"),))
    assert refused(felt, Model("red", CLONING), emotion="sad")[0] == "voice"


def test_the_next_model_speaks_what_the_first_cannot_express() -> None:
    models = [Model("red", CLONING), Model("blue", replace(CLONING, emotions=("angry",)))]
    found = decided(FELT, *models, emotion="angry")
    assert [each.model.engine for each in found.candidates] == ["blue"]
    assert [each.refused_by for each in found.verdicts] == ["emotion", None]
    both = decided(FELT, *models, emotion="happy").candidates
    assert [[each.digest for each in find_samples(candidate.voice)] for candidate in both] == [
        ["happy-clip", "joy"],
        ["happy-clip", "joy"],
    ]


def test_a_mix_has_the_emotions_that_all_its_recorded_members_have() -> None:
    other = replace(OWNED, id="voice_2", samples=(clip("", "o"), clip("happy", "oh")))
    red = Model("red", MIXING)
    assert find_emotions(mixed(FELT, other), red) == ("happy",)
    happy = (Samples((clip("happy"), clip("happy", "joy"))), Samples((clip("happy", "oh"),)))
    assert spoken(mixed(FELT, other), MIXING, emotion="happy") == Mix(((happy[0], 0.5), (happy[1], 0.5)))
    field, _, message, _ = refused(mixed(FELT, other), red, emotion="sad")
    assert (field, "it knows: happy." in message) == ("emotion", True)
    # A voice of the engine has no recordings to choose from.
    beside = mixed(FELT, voice("red"))
    assert spoken(beside, MIXING, emotion="happy") == Mix(((happy[0], 0.5), (EngineVoice("red-v"), 0.5)))
    assert find_emotions(mixed(voice("red"), voice("red")), red) == ()
    # The model's own emotion is for all of them.
    plain = (Samples((clip(""), clip("", "more"))), Samples((clip("", "o"),)))
    assert spoken(mixed(FELT, other), replace(MIXING, emotions=("happy",)), emotion="happy") == Mix(
        ((plain[0], 0.5), (plain[1], 0.5))
    )


tagged = st.lists(
    st.builds(
        Sample,
        st.text("abc", min_size=1, max_size=3),
        st.sampled_from(["", "Hi."]),
        st.sampled_from(["", "", "happy", "sad"]),
        st.sampled_from([0.0, 2.0, 9.0, 90.0]),
        st.sampled_from([0.0, 40.0]),
    ),
    max_size=6,
).map(tuple)


@given(
    st.lists(tagged, min_size=1, max_size=3),
    st.sampled_from([None, "happy", "sad", "angry"]),
    st.sampled_from([(), ("happy",), ("happy", "angry")]),
    st.booleans(),
)
def test_no_model_ever_gets_a_blend_of_tags(
    recorded: list[tuple[Sample, ...]], emotion: str | None, of_model: tuple[str, ...], needs_text: bool
) -> None:
    members = [replace(OWNED, id=f"voice_{n}", samples=samples) for n, samples in enumerate(recorded)]
    by = mixed(*members) if len(members) > 1 else members[0]
    model = Model("red", replace(MIXING, emotions=of_model, needs_sample_text=needs_text))
    found = decided(by, model, emotion=emotion)
    tag = "" if emotion is None or emotion in of_model else emotion
    for candidate in found.candidates:
        given = find_samples(candidate.voice)
        assert given
        assert {each.tag for each in given} == {tag}
        assert emotion is None or emotion in find_emotions(by, model)
    if found.error is not None and found.error.field == "emotion":
        assert emotion not in find_emotions(by, model)
