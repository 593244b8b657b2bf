"""An alias is true: whatever a name is told to be an alias of really speaks with the same voice."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from policies import namesakes, routing
from speech_engine import EngineVoice, VoiceInfo
from tests.policies.routing.worlds import ANYONE, NO_RULES, info
from tests.policies.test_namesakes import THIRTEEN, genders, tags, wanted

Listed = Mapping[str, Sequence[VoiceInfo]]

ids = st.sampled_from(["joe", "eva", "af_nova", "onyx", "x:sage", "bob"])
listed = st.dictionaries(ids, st.tuples(genders, tags), min_size=1, max_size=4).map(
    lambda rows: [VoiceInfo(id=id_, name=id_, gender=sex, language=tag) for id_, (sex, tag) in rows.items()]
)
engines = st.dictionaries(st.sampled_from(["red", "green", "blue"]), listed, min_size=1)
overrides = st.dictionaries(st.sampled_from(sorted(THIRTEEN)), st.tuples(st.just("red"), ids), max_size=2)


def decided(by: routing.Voice, names: Sequence[str], tag: str) -> routing.Decision:
    models = tuple(routing.Model(name, info("*")) for name in names)
    return routing.decide(
        routing.Offer(models=models), by, routing.RoutingQuery(language=tag), ANYONE, NO_RULES
    )


def told(
    lists: Listed, tag: str, own: Mapping[str, tuple[str, str]] | None = None
) -> dict[str, routing.Decision]:
    """Decide on each name, with the lines of a file that say something else of some names."""
    shares = {engine: namesakes.share_names(THIRTEEN, voices) for engine, voices in lists.items()}
    decisions: dict[str, routing.Decision] = {}
    for name, gender in THIRTEEN.items():
        bindings = [
            routing.Binding(engine, EngineVoice(found[name][0].voice), shares=found[name])
            for engine, found in shares.items()
            if name in found
        ]
        if own and name in own:
            bindings = [routing.Binding(own[name][0], EngineVoice(own[name][1]))]
        by = routing.Voice(id=name, name=name, gender=gender, bindings=tuple(bindings))
        decisions[name] = decided(by, list(lists), tag)
    owners = routing.find_owners(decisions.values())
    return {name: owners.with_aliases(decision) for name, decision in decisions.items()}


def first(decision: routing.Decision) -> routing.Candidate:
    return decision.candidates[0]


def spoken(candidate: routing.Candidate) -> tuple[str, object]:
    return candidate.model.engine, candidate.voice


@given(engines, wanted, overrides)
def test_an_alias_is_spoken_by_the_voice_of_the_name_that_it_names(
    lists: Listed, tag: str, own: Mapping[str, tuple[str, str]]
) -> None:
    found = told(lists, tag, own)
    owners: dict[tuple[str, object], list[str]] = {}
    for name, decision in found.items():
        for number, each in enumerate(decision.candidates):
            if each.alias_of in THIRTEEN and each.alias_of != getattr(each.voice, "id", ""):
                assert spoken(first(found[each.alias_of])) == spoken(each)
                assert not first(found[each.alias_of]).alias_of
            elif each.alias_of:
                assert each.voice == EngineVoice(each.alias_of)
            if number == 0 and each.share is not None and not each.alias_of:
                assert each.share.is_of_gender
                owners.setdefault(spoken(each), []).append(name)
    # Of two names with one voice, one at least is told.
    assert all(len(names) == 1 for names in owners.values())


def told_of(lists: Listed, name: str) -> list[tuple[object, str]]:
    return [(each.voice, each.alias_of) for each in told(lists, "en")[name].candidates]


def person(id_: str, gender: str | None) -> VoiceInfo:
    return VoiceInfo(id=id_, name=id_, gender=gender, language="en-US")


MEN, WOMEN = [person("joe", "male")], [person("eva", "female")]


def test_who_has_no_voice_of_the_gender_covers_for_those_that_have_and_is_told() -> None:
    assert told_of({"men": MEN, "women": WOMEN}, "coral") == [
        (EngineVoice("eva"), ""),
        (EngineVoice("joe"), "alloy"),
    ]
    assert told_of({"men": MEN, "women": WOMEN}, "nova")[0] == (EngineVoice("eva"), "coral")


def test_a_name_whose_speaker_is_of_another_gender_and_nobodys_is_an_alias_of_that_voice() -> None:
    own = dict.fromkeys(("alloy", *(name for name, sex in THIRTEEN.items() if sex == "male")), ("away", "x"))
    found = told({"men": MEN}, "en", own)
    assert first(found["coral"]).alias_of == "joe"
    assert first(found["nova"]).alias_of == "joe"


def test_who_only_covers_is_told_where_two_names_would_share_the_voice() -> None:
    lists = {"many": [person(f"m{number}", "male") for number in range(8)], "one": MEN}
    assert told_of(lists, "alloy")[1] == (EngineVoice("joe"), "")
    assert told_of(lists, "onyx") == [(EngineVoice("m6"), ""), (EngineVoice("joe"), "joe")]


def test_a_voice_of_unknown_gender_elsewhere_makes_nobody_an_alias_of_a_stranger() -> None:
    lists = {"men": MEN, "some": [person("mine", None)]}
    assert told_of(lists, "coral") == [(EngineVoice("mine"), ""), (EngineVoice("joe"), "alloy")]
    assert told_of(lists, "nova")[0] == (EngineVoice("mine"), "coral")
