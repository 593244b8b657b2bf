"""Rows in a batch say what each says alone, and alone it is what the package says, bit for bit."""

import random
from typing import Any

import pytest
import torch

from plugins.pocket.decoding import BatchedDecoder, DecodingRow, most_frames
from plugins.pocket.sizes import PocketSizes
from plugins.pocket.text import Chunk
from tests.plugins.pocket.in_environment.rig import SIZES, TEXTS, package, rig, state_for_package
from tests.plugins.pocket.tiny import TINY

MOST = 1e-5


_PAIRS = [(sizes, text) for sizes in SIZES for text in range(len(TEXTS))]
_QUICK = [*zip(SIZES, (2, 0, 4), strict=True)]


@pytest.mark.parametrize(
    ("sizes", "text"),
    [*_QUICK, *(pytest.param(*pair, marks=pytest.mark.soak) for pair in _PAIRS if pair not in _QUICK)],
)
def test_alone_it_says_what_the_package_says_bit_for_bit(sizes: PocketSizes, text: int) -> None:
    tiny = rig(sizes)
    for seed in (1, 2):
        state = state_for_package(sizes, tiny.voices[text % 3].state)
        theirs = package(sizes).said(state, TEXTS[text], seed)
        ours = tiny.alone(text, seed)
        assert len(ours) == len(theirs) > 0
        assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))


def test_seeds_and_texts_have_other_lengths() -> None:
    assert len({len(rig().alone(text, seed)) for text in (0, 2) for seed in range(4)}) > 4


def difference(ours: list[Any], alone: list[Any]) -> float:
    assert len(ours) == len(alone)
    return float((torch.stack(ours) - torch.stack(alone)).abs().max())


@pytest.mark.parametrize(
    "sizes",
    [SIZES[0], *(pytest.param(each, marks=pytest.mark.soak) for each in SIZES[1:])],
    ids=lambda sizes: sizes.name,
)
def test_rows_that_join_and_leave_at_any_step_say_what_each_says_alone(sizes: PocketSizes) -> None:
    tiny, chance = rig(sizes), random.Random(7)
    decoder = tiny.decoder()
    waiting = [(text % len(TEXTS), seed) for seed, text in enumerate(range(12))]
    live: list[tuple[DecodingRow, tuple[int, int]]] = []
    seen, worst = 0, 0.0
    while waiting or live:
        if waiting and (not live or chance.random() < 0.3):
            live.append((tiny.join(decoder, *waiting[-1]), waiting.pop()))
        # Not all take part in each step.
        group = [row for row, _ in live if chance.random() < 0.8]
        if group:
            decoder.step(group)
        for row, (text, seed) in [each for each in live if each[0].is_over]:
            live.remove((row, (text, seed)))
            worst = max(worst, difference([latent for latent, _ in row.waiting], tiny.alone(text, seed)))
            seen += 1
        if len(live) > 3 and chance.random() < 0.05:
            live.pop(chance.randrange(len(live)))
    print(f"{sizes.name}: {seen} rows, at most {worst:.1e} from what they say alone")
    assert seen > 6
    assert worst <= MOST


def test_two_voices_never_mix() -> None:
    tiny = rig()
    decoder = tiny.decoder()
    chunks = tiny.model.reader.chunks(TEXTS[0])

    def said(rows: list[DecodingRow]) -> list[list[Any]]:
        while group := [row for row in rows if not row.is_over]:
            decoder.step(group)
        return [[latent for latent, _ in row.waiting] for row in rows]

    first, second = (tiny.voices[number].state for number in (0, 1))
    before = first.clone(), second.clone()
    together = said([decoder.join(chunks, each, 5) for each in (first, second)])
    alone = [said([decoder.join(chunks, each, 5)])[0] for each in (first, second)]
    assert all(difference(*each) <= MOST for each in zip(together, alone, strict=True))
    assert not torch.equal(alone[0][0], alone[1][0])
    assert torch.equal(first, before[0])
    assert torch.equal(second, before[1])


def test_a_text_that_does_not_end_fails_at_the_most_frames() -> None:
    tiny = rig()
    model = tiny.networks.language_model
    bias = model.out_eos.bias.clone()
    try:
        model.out_eos.bias -= 1000.0
        decoder = BatchedDecoder(tiny.networks)
        row = decoder.join([Chunk((4, 5, 6), 3), Chunk((4,), 3)], tiny.voices[0].state, 1)
        while not row.is_over:
            decoder.step([row])
    finally:
        model.out_eos.bias.copy_(bias)
    assert row.has_failed
    assert len(row.waiting) == most_frames(3) == 38


@pytest.mark.parametrize("tokens", [1, 7, 50, 56, 200])
def test_the_most_frames_are_the_packages(tokens: int) -> None:
    assert most_frames(tokens) == package(TINY)._estimate_max_gen_len(tokens)
