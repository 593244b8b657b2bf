"""The batched decoding: upstream's codes, and for each row those that it gets alone."""

import math
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.xtts import key_values
from plugins.xtts.decoding import BatchedDecoder, DecodingRow
from speech_engine.host.batch_model import OutOfMemory
from tests.plugins.xtts.in_environment.rig import TEXTS, rig, upstream

# isort: split
import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode

MOST_LATENT_ERROR = 1e-5
A_TEXT = (0, *(pytest.param(number, marks=pytest.mark.soak) for number in range(1, len(TEXTS))))
"""One of them in each run, the others where there is time."""

_GROWTH = 8
"""A pack of the tests is full after so few steps."""


def difference(one: list[Any], other: list[Any]) -> float:
    return float((torch.stack(one) - torch.stack(other)).abs().max())


@pytest.mark.parametrize("text", A_TEXT)
def test_the_likeliest_codes_are_those_of_upstream(text: int) -> None:
    model, tiny = upstream(), rig()
    row = tiny.alone(tiny.decoder(top_k=1), text, seed=1)
    tokens = torch.tensor([tiny.reader.tokens(TEXTS[text], "en")])
    with torch.no_grad():
        codes = model.gpt.generate(
            cond_latents=tiny.voices[text].latents,
            text_inputs=tokens,
            do_sample=False,
            num_beams=1,
            repetition_penalty=tiny.checkpoint.sampling.repetition_penalty,
        )
    assert row.codes == codes[0].tolist()


@pytest.mark.parametrize("text", A_TEXT)
def test_the_loops_latents_are_those_of_upstreams_second_pass(text: int) -> None:
    model, tiny = upstream(), rig()
    row = tiny.alone(tiny.decoder(), text, seed=7)
    tokens = torch.tensor([tiny.reader.tokens(TEXTS[text], "en")])
    codes = torch.tensor([row.codes])
    with torch.no_grad():
        latents = model.gpt(
            tokens,
            torch.tensor([tokens.shape[1]]),
            codes,
            torch.tensor([codes.shape[1] * 1024]),
            cond_latents=tiny.voices[text].latents,
            return_latent=True,
        )
    assert difference(row.latents, list(latents[0])) <= MOST_LATENT_ERROR


plans = st.lists(
    st.tuples(
        st.integers(0, len(TEXTS) - 1),
        st.sampled_from((0, 7, 2**63 - 1)),
        st.integers(0, 20),
        st.one_of(st.none(), st.integers(1, 12)),
    ),
    min_size=1,
    max_size=6,
)
"""For each row: its text, its seed, the step at which it joins, and after how many it is dropped."""


@cache
def spoken_alone(text: int, seed: int) -> DecodingRow:
    return rig().alone(rig().decoder(), text, seed)


Plan = list[tuple[int, int, int, int | None]]
anything = given(plan=plans, order=st.randoms(use_true_random=False))


@settings(max_examples=4, deadline=None, derandomize=True)
@anything
def test_a_row_gets_in_any_company_what_it_gets_alone(plan: Plan, order: Any) -> None:
    _expect_what_is_got_alone(plan, order)


@pytest.mark.soak
@settings(max_examples=40, deadline=None, derandomize=True)
@anything
def test_a_row_gets_in_many_companies_what_it_gets_alone(plan: Plan, order: Any) -> None:
    _expect_what_is_got_alone(plan, order)


def _expect_what_is_got_alone(plan: Plan, order: Any) -> None:
    tiny, decoder = rig(), rig().decoder()
    live: dict[int, DecodingRow] = {}
    ended: dict[int, DecodingRow] = {}
    step = 0
    while len(ended) < len(plan):
        for number, (text, seed, joins_at, _) in enumerate(plan):
            if number not in ended and number not in live and joins_at <= step:
                live[number] = tiny.join(decoder, text, seed)
        step += 1
        # Not all take part in each step, and their places change.
        group = [row for row in live.values() if order.random() < 0.8]
        order.shuffle(group)
        if group:
            decoder.step(group)
        for number, row in list(live.items()):
            leaves_after = plan[number][3]
            if row.is_over or len(row.codes) == leaves_after:
                decoder.leave(row)
                ended[number] = live.pop(number)
    for number, row in ended.items():
        alone = spoken_alone(*plan[number][:2])
        count = len(row.codes)
        assert row.codes == alone.codes[:count]
        assert difference(row.latents, alone.latents[:count]) <= MOST_LATENT_ERROR


def test_a_trace_of_a_row_that_joins_and_one_that_leaves() -> None:
    """Printed with -s: which rows are in each step, and how often they were packed anew."""
    tiny, decoder = rig(), rig().decoder()
    first, second = tiny.join(decoder, 1, 104), tiny.join(decoder, 3, 101)
    group, trace = [first, second], []
    third: DecodingRow | None = None
    for step in range(12):
        if step == 3:
            third = tiny.join(decoder, 0, 106)
            group = [first, second, third]
        if step == 8:
            decoder.leave(second)
            group = [row for row in group if row is not second]
        decoder.step(group)
        trace.append((step, [row.codes[-1] for row in group], decoder.packings))
        print(f"step {step}: codes {trace[-1][1]}, packed {decoder.packings} times")
    assert [packings for _, _, packings in trace] == [1] * 3 + [2] * 5 + [3] * 4
    assert third is not None
    for row, text, seed in ((first, 1, 104), (second, 3, 101), (third, 0, 106)):
        alone = tiny.alone(tiny.decoder(), text, seed)
        assert row.codes == alone.codes[: len(row.codes)]


def test_a_row_may_grow_beyond_the_room_of_its_pack() -> None:
    tiny = rig()
    decoder = BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100)
    row = tiny.alone(decoder, 0, seed=3)
    assert len(row.codes) == 100
    assert decoder.packings == 2


class _NarrowNorm(torch.nn.Module):  # type: ignore[misc]
    """The last part of the model on a device that has memory for so many rows."""

    def __init__(self, norm: Any, room: int) -> None:
        super().__init__()
        self.norm, self.room = norm, room

    def forward(self, hidden: Any) -> Any:
        if hidden.shape[0] > self.room:
            raise torch.OutOfMemoryError("the device is full")
        return self.norm(hidden)


def test_a_step_without_memory_changes_no_row() -> None:
    tiny, decoder = rig(), rig().decoder()
    rows = [tiny.join(decoder, text, 40 + text) for text in range(4)]
    for _ in range(3):
        decoder.step(rows)
    gpt = tiny.checkpoint.gpt
    whole = gpt.final_norm
    gpt.final_norm = _NarrowNorm(whole, 2)
    try:
        before = [list(row.codes) for row in rows]
        with pytest.raises(OutOfMemory):
            decoder.step(rows)
        assert [row.codes for row in rows] == before
        for _ in range(3):
            decoder.step(rows[:2])
            decoder.step(rows[2:])
    finally:
        gpt.final_norm = whole
    for text, row in enumerate(rows):
        assert row.codes == tiny.alone(tiny.decoder(), text, 40 + text).codes[:6]


class _SmallDevice(TorchDispatchMode):  # type: ignore[misc]
    """A device of so many bytes: an operation that makes more fails. Copies to main memory are not there."""

    def __init__(self, room: float = math.inf) -> None:
        super().__init__()
        self.room = room
        self.most = 0
        self._there: dict[int, tuple[StorageWeakRef, int]] = {}

    @property
    def used(self) -> int:
        self._there = {place: each for place, each in self._there.items() if not each[0].expired()}
        return sum(size for _, size in self._there.values())

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        leaves = bool((kwargs or {}).get("copy"))
        for tensor in (made,) if isinstance(made, torch.Tensor) else ():
            if not leaves:
                storage = tensor.untyped_storage()
                self._there[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self.most = max(self.most, self.used)
        if self.used > self.room:
            del made, tensor, storage
            raise torch.OutOfMemoryError("the device is full")
        return made


def _halved(decoder: BatchedDecoder, rows: list[DecodingRow]) -> None:
    """Take a step as the loop does: again with half of the rows if memory lacks, then with the others."""
    try:
        decoder.step(rows)
    except OutOfMemory:
        decoder.step(rows[: len(rows) // 2])
        decoder.step(rows[len(rows) // 2 :])


def _full_pack(decoder: BatchedDecoder) -> list[DecodingRow]:
    """Return rows whose next step needs a new pack."""
    rows = [rig().join(decoder, 0, 60 + number) for number in range(8)]
    for _ in range(_GROWTH):
        decoder.step(rows)
    return rows


@pytest.mark.parametrize(
    "lacking", [0.3, *(pytest.param(each, marks=pytest.mark.soak) for each in (0.1, 0.6, 0.9))]
)
def test_a_step_goes_on_where_the_device_has_no_memory_for_a_second_pack(
    monkeypatch: pytest.MonkeyPatch, lacking: float
) -> None:
    monkeypatch.setattr(key_values, "GROWTH", _GROWTH)
    tiny = rig()
    with _SmallDevice() as device:
        decoder = BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100)
        rows = _full_pack(decoder)
        before, device.most = device.used, 0
        decoder.step(rows)
        needed = device.most - before
    with _SmallDevice() as device:
        decoder = BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100)
        rows = _full_pack(decoder)
        device.room = before + needed * (1 - lacking)
        for _ in range(3):
            _halved(decoder, rows)
    for number, row in enumerate(rows):
        alone = tiny.join(BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100), 0, 60 + number)
        reader = BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100)
        while len(alone.codes) < len(row.codes):
            reader.step([alone])
        assert row.codes == alone.codes


def test_half_of_a_step_needs_no_more_memory_than_the_step_held() -> None:
    tiny = rig()
    whole = tiny.checkpoint.gpt.final_norm
    with _SmallDevice() as device:
        decoder = BatchedDecoder(tiny.checkpoint, torch.float32, fixed_codes=100)
        rows = [rig().join(decoder, 0, 60 + number) for number in range(8)]
        decoder.step(rows)
        device.most = 0
        decoder.step(rows)
        tiny.checkpoint.gpt.final_norm = _NarrowNorm(whole, 4)
        try:
            device.room = device.most
            _halved(decoder, rows)
        finally:
            tiny.checkpoint.gpt.final_norm = whole
    assert {len(row.codes) for row in rows} == {3}


def test_no_memory_is_kept_for_rows_that_have_left() -> None:
    tiny, decoder = rig(), rig().decoder()
    rows = [tiny.join(decoder, text, 1) for text in range(3)]
    decoder.step(rows)
    for row in rows:
        decoder.leave(row)
    assert repr(decoder) == "<BatchedDecoder, 0 rows in a pack>"


def test_another_seed_gives_other_codes() -> None:
    tiny, decoder = rig(), rig().decoder()
    codes = {tuple(tiny.alone(decoder, 0, seed).codes) for seed in range(5)}
    assert len(codes) == 5
