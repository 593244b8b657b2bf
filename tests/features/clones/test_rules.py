"""Clones at providers: the next step in each state, patience, expiry, and whose slot is given away."""

from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st

from policies.tasks import SECOND_US
from proxy.features.clones import rules
from proxy.features.clones.rules import CloneFacts, State, Step, choose_slot, find_step
from tests.tables import each_row

NOW = 1_000_000 * SECOND_US
LATER, BEFORE = NOW + 1, NOW - 1
MADE = {"name": "voxgate-1", "engine_voice": "v1", "made": BEFORE}


@each_row(
    ("facts", "configured", "gone"),
    [
        ({"state": "wanted"}, "make", "strand"),
        ({"state": "wanted", "due": LATER}, "rest", "strand"),
        ({"state": "wanted", "lease": LATER}, "rest", "rest"),
        ({"state": "making", "name": "voxgate-1"}, "settle", "strand"),
        ({"state": "making", "name": "voxgate-1", "due": LATER}, "rest", "strand"),
        ({"state": "making", "name": "voxgate-1", "lease": LATER}, "rest", "rest"),
        ({"state": "making"}, "make", "strand"),
        ({"state": "ready", **MADE}, "rest", "strand"),
        ({"state": "ready", "expires": LATER, **MADE}, "rest", "strand"),
        ({"state": "ready", "expires": NOW, **MADE}, "expire", "strand"),
        ({"state": "failed", "name": "voxgate-1"}, "rest", "rest"),
        ({"state": "expired", **MADE}, "rest", "rest"),
        ({"state": "stranded", **MADE}, "restore", "rest"),
        ({"state": "doomed"}, "remove", "remove"),
        ({"state": "doomed", "name": "voxgate-1"}, "delete", "rest"),
        ({"state": "doomed", "due": LATER, **MADE}, "rest", "rest"),
        ({"state": "doomed", "lease": LATER}, "rest", "rest"),
    ],
)
def test_the_next_step(facts: dict[str, Any], configured: Step, gone: Step) -> None:
    clone = CloneFacts(**facts)
    assert find_step(clone, NOW, is_configured=True) == configured
    assert find_step(clone, NOW, is_configured=False) == gone


_times = st.sampled_from([0, BEFORE, NOW, LATER])
_facts = st.builds(
    CloneFacts,
    state=st.sampled_from(get_args(State)),
    name=st.sampled_from(["", "voxgate-1"]),
    engine_voice=st.sampled_from(["", "v1"]),
    lease=_times,
    due=_times,
    tries=st.integers(0, 50),
    made=st.none() | _times,
    used=st.none() | _times,
    expires=st.none() | _times,
)


@given(_facts, st.booleans())
def test_what_always_holds_of_a_step(facts: CloneFacts, is_configured: bool) -> None:
    step = find_step(facts, NOW, is_configured=is_configured)
    if facts.lease > NOW:
        assert step == "rest", "somebody else works on it"
    if not is_configured:
        assert step not in ("make", "settle", "delete"), "no other account is asked"
    if step == "make":
        assert not facts.name, "what was asked for once is looked for first"
    if step == "remove":
        assert not facts.name, "a copy at the provider is not forgotten"
        assert not facts.engine_voice
    if facts.state == "doomed":
        assert step in ("delete", "remove", "rest"), "a doomed voice is never made"


@given(_facts)
def test_a_credential_that_is_back_restores_what_there_was(facts: CloneFacts) -> None:
    state = rules.restored_state(facts)
    assert state in ("wanted", "making", "ready")
    assert (state == "ready") == bool(facts.engine_voice)
    assert (state == "wanted") == (not facts.name and not facts.engine_voice)


def test_a_clone_gives_up_and_a_deletion_never_does() -> None:
    assert not rules.gives_up(CloneFacts(state="making", tries=10))
    assert rules.gives_up(CloneFacts(state="making", tries=11))
    assert not rules.gives_up(CloneFacts(state="doomed", tries=1_000_000))


def test_a_clone_expires_after_its_last_use_if_its_provider_says_so() -> None:
    assert rules.expires_at(NOW, None) is None
    assert rules.expires_at(NOW, 168 * 3600.0) == NOW + 168 * 3600 * SECOND_US


_OLD = NOW - 2 * 3600 * SECOND_US


@each_row(
    ("slots", "additions", "used", "expected"),
    [
        (None, None, {}, (True, None)),
        (1, None, {"a": _OLD}, (True, None)),
        (1, 0, {}, (False, None)),
        (None, 0, {}, (False, None)),
        (0, 5, {}, (False, None)),
        (0, 5, {"a": NOW}, (False, None)),
        (0, 5, {"a": _OLD, "b": _OLD - 1, "c": NOW}, (True, "b")),
        (0, None, {"b": _OLD, "a": _OLD}, (True, "a")),
        (0, 0, {"a": _OLD}, (False, None)),
    ],
)
def test_whose_slot_is_given_away(
    slots: int | None,
    additions: int | None,
    used: dict[str, int],
    expected: tuple[bool, str | None],
) -> None:
    gives_way, refusal = choose_slot(slots, additions, used, NOW)
    assert (not refusal, gives_way) == expected


_used = st.dictionaries(st.text("abc", min_size=1), st.integers(0, NOW), max_size=6)
_counts = st.none() | st.integers(0, 3)


@given(_counts, _counts, _used)
def test_what_always_holds_of_a_slot(slots: int | None, additions: int | None, used: dict[str, int]) -> None:
    gives_way, refusal = choose_slot(slots, additions, used, NOW)
    if not refusal:
        assert additions is None or additions > 0, "each clone spends an addition"
        assert (gives_way is None) == (slots is None or slots > 0), "room is used before a swap"
    if gives_way is not None:
        assert not refusal
        assert used[gives_way] == min(used.values()), "the one not used for longest"
        assert used[gives_way] + rules.RECENT_USE_S * SECOND_US <= NOW


@each_row(
    ("state", "engine_voice", "expires", "is_expected"),
    [
        ("ready", "v", None, True),
        ("ready", "v", NOW - 1, True),
        ("expired", "v", None, True),
        ("expired", "v", NOW + 1, True),
        ("expired", "v", NOW - 1, False),
        ("expired", "", None, False),
        ("failed", "v", None, False),
        ("doomed", "v", None, False),
    ],
)
def test_which_clones_a_provider_should_have(
    state: rules.State, engine_voice: str, expires: int | None, is_expected: bool
) -> None:
    facts = rules.CloneFacts(state=state, engine_voice=engine_voice, expires=expires)
    assert rules.is_expected(facts, NOW) is is_expected
