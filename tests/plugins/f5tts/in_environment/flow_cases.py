"""The loop of steps: what the project's own makes alone, and the same in any company."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.f5tts.flow import BatchedFlow, FlowRow
from tests.plugins.f5tts.in_environment.rig import TEXTS, load_rig, rig, sampled, upstream

# isort: split
import torch

CLOSE = 1e-5
"""What a row may differ from itself alone, relative to its size."""

FRAMES = (160, 340, 270, 430)


def alone(voice: int, text: str, frames: int, steps: int, seed: int) -> Any:
    flow = rig().flow()
    row = rig().join(flow, voice, text, frames, steps, seed)
    while not row.is_over:
        flow.step([row])
    return row.spectrogram(rig().voices[voice].first)


def error(found: Any, wanted: Any) -> float:
    assert found.shape == wanted.shape
    return float((found - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("steps", [7, 16, 32])
def test_one_row_is_exactly_what_the_project_makes(steps: int) -> None:
    voice = rig().voices[0]
    made = sampled(upstream(), [voice], [TEXTS[0]], [FRAMES[1]], steps, seed=5)[0, voice.first :]
    ours = alone(0, TEXTS[0], FRAMES[1], steps, 5)
    assert float((made - ours).abs().max()) == 0.0


def test_one_row_of_the_older_version_is_exactly_what_the_project_makes() -> None:
    old = load_rig(rig().folder, "v0")
    flow = BatchedFlow(old.checkpoint, 2.0)
    row = old.join(flow, 0, TEXTS[0], FRAMES[1], 7, 5)
    while not row.is_over:
        flow.step([row])
    voice = old.voices[0]
    made = sampled(upstream("v0"), [voice], [TEXTS[0]], [FRAMES[1]], 7, seed=5)[0, voice.first :]
    ours = row.spectrogram(voice.first)
    assert float((made - ours).abs().max()) == 0.0
    assert error(ours, alone(0, TEXTS[0], FRAMES[1], 7, 5)) > 0.01


@pytest.mark.parametrize(("is_masked", "least"), [(False, 1e-2), (True, CLOSE)])
def test_rows_that_the_project_makes_together_are_not_those_alone(is_masked: bool, least: float) -> None:
    voices, model = list(rig().voices), upstream(is_masked=is_masked)
    together = sampled(model, voices, list(TEXTS), list(FRAMES), 16, seed=5)
    errors = [
        error(
            together[each, voices[each].first : FRAMES[each]], alone(each, TEXTS[each], FRAMES[each], 16, 5)
        )
        for each in range(4)
    ]
    print("the project's own batch:", [f"{each:.1e}" for each in errors])
    assert max(errors) > least


class Drawn:
    """A row that joins after some steps of the others."""

    def __init__(self, voice: int, text: str, frames: int, steps: int, seed: int, joins: int) -> None:
        self.asked = (voice, text, frames, steps, seed)
        self.joins = joins
        self.row: FlowRow | None = None

    def __repr__(self) -> str:
        return f"Drawn({self.asked}, joins={self.joins})"


drawn = st.builds(
    Drawn,
    voice=st.integers(0, 3),
    text=st.sampled_from(TEXTS),
    frames=st.integers(300, 430),
    steps=st.sampled_from([5, 7, 12, 16]),
    seed=st.integers(0, 2**63 - 1),
    joins=st.integers(0, 8),
)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(st.lists(drawn, min_size=2, max_size=5))
def test_rows_of_any_company_are_those_alone(rows: list[Drawn]) -> None:
    expect_rows_as_alone(rows)


@pytest.mark.soak
@settings(max_examples=60, deadline=None)
@given(st.lists(drawn, min_size=2, max_size=12))
def test_rows_of_large_companies_are_those_alone(rows: list[Drawn]) -> None:
    expect_rows_as_alone(rows)


def expect_rows_as_alone(rows: list[Drawn]) -> None:
    flow = rig().flow()
    tick = 0
    while any(each.row is None or not each.row.is_over for each in rows):
        for each in rows:
            if each.row is None and each.joins <= tick:
                each.row = rig().join(flow, *each.asked)
        if live := [each.row for each in rows if each.row is not None and not each.row.is_over]:
            flow.step(live)
        tick += 1
    assert tick <= max(each.joins + each.asked[3] for each in rows) + 1
    for each in rows:
        assert each.row is not None
        voice = rig().voices[each.asked[0]]
        assert error(each.row.spectrogram(voice.first), alone(*each.asked)) <= CLOSE


def test_another_seed_is_another_sound_and_the_same_one_the_same() -> None:
    one, again, other = (alone(0, TEXTS[0], 500, 7, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert error(other, one) > 0.1


def test_what_leaves_is_forgotten() -> None:
    flow = rig().flow()
    rows = [rig().join(flow, each, TEXTS[each], FRAMES[each], 7, each) for each in range(2)]
    flow.step(rows)
    assert "2 rows" in repr(flow)
    flow.leave(rows[0])
    assert "0 rows" in repr(flow)
    flow.step(rows[1:])
    assert (rows[0].taken_steps, rows[1].taken_steps) == (1, 2)


def test_a_network_in_training_is_refused() -> None:
    checkpoint = rig().checkpoint
    checkpoint.network.transformer_blocks[1].train()
    try:
        with pytest.raises(ValueError, match="in training"):
            BatchedFlow(checkpoint, 2.0)
    finally:
        checkpoint.network.eval()


def test_without_memory_no_row_has_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    from speech_engine.host.batch_model import OutOfMemory

    flow = rig().flow()
    row = rig().join(flow, 0, TEXTS[0], 400, 7, 1)
    before = row.now.clone()

    def full(*_arguments: object, **_named: object) -> None:
        raise torch.OutOfMemoryError("none left")

    monkeypatch.setattr(flow, "_flow", full)
    with pytest.raises(OutOfMemory):
        flow.step([row])
    assert torch.equal(row.now, before)
    assert row.taken_steps == 0
