"""Voices as they come, are kept and leave, and what is refused of them before anything is built."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.rvc.faiss_index import read_vectors
from plugins.rvc.voice_format import FILES, read_voice_header
from plugins.rvc.voice_rules import MOST_VECTORS, VECTORS, Version, read_layout
from speech_engine.model_files import UnusableModel
from speech_engine.model_files.safetensors import header_of
from speech_engine.trained_files import UnusableSource
from tests.checkpoints import Called
from tests.plugins.rvc.voices import (
    LAYOUTS,
    bring,
    config,
    flat_index,
    ivf_index,
    layout,
    pth,
    read_pth,
    shapes_of,
    source,
)
from tests.tables import each_row

PLACES = {
    "spec_channels": 0,
    "segment": 1,
    "inter": 2,
    "hidden": 3,
    "filter": 4,
    "heads": 5,
    "layers": 6,
    "kernel": 7,
    "dropout": 8,
    "resblock": 9,
    "resblock_kernels": 10,
    "resblock_dilations": 11,
    "rates": 12,
    "initial": 13,
    "rate_kernels": 14,
    "speakers": 15,
    "gin": 16,
    "rate_hz": 17,
}


def told(**changes: Any) -> dict[str, Any]:
    """What stands beside the weights of a voice that is right, but for these values of its config."""
    changed = config()
    for name, value in changes.items():
        changed[PLACES[name]] = value
    return {"config": changed, "sr": "40k", "f0": 1, "version": "v2"}


def refusal(values: dict[str, Any] | None, shapes: dict[str, tuple[int, ...]] | None = None) -> str:
    with pytest.raises(UnusableModel) as refused:
        bring(source(shapes_of(layout()) if shapes is None else shapes, values))
    return str(refused.value)


@each_row(("version", "has_pitch", "rate_hz"), LAYOUTS)
def test_a_voice_comes_is_kept_and_leaves_as_it_came(
    tmp_path: Path, version: Version, has_pitch: int, rate_hz: int
) -> None:
    of = layout(version, has_pitch, rate_hz)
    came = read_pth(pth(tmp_path / "came.pth", of))
    kept = bring(came)
    facts = FILES.check(BytesIO(kept), len(kept))
    assert facts.parameters == sum(int(np.prod(shape)) for shape in shapes_of(of).values())
    assert facts.words == {
        "version": version,
        "sample_rate_hz": str(rate_hz),
        "pitch": "yes" if has_pitch else "no",
        "features": "0",
    }
    home = tmp_path / "home.pth"
    with home.open("wb") as file:
        FILES.export(BytesIO(kept), len(kept), "pth", file)
    assert bring(read_pth(home)) == kept
    assert bring(kept) == kept


@each_row("kind", ["flat", "lists", "sparse lists"])
def test_an_index_comes_along_and_leaves_as_a_flat_one(kind: str) -> None:
    vectors = np.random.default_rng(1).standard_normal((37, 768)).astype("<f2")
    index = flat_index(vectors) if kind == "flat" else ivf_index(vectors, 5, sparse=kind == "sparse lists")
    kept = bring(source(shapes_of(layout()), told()), index)
    header = read_voice_header(BytesIO(kept), len(kept))
    assert header.vectors is not None
    assert kept[header.vectors.begin :][: header.vectors.bytes] == vectors.tobytes()
    assert FILES.check(BytesIO(kept), len(kept)).words["features"] == "37"
    home = BytesIO()
    FILES.export(BytesIO(kept), len(kept), "index", home)
    _, exported = read_vectors(home, len(home.getvalue()), 768)
    assert exported == vectors.tobytes()
    with pytest.raises(UnusableSource) as refused:
        bring(source(shapes_of(layout("v1")), {**told(), "version": "v1"}), index)
    assert refused.value.role == "index"


def test_a_voice_that_has_no_index_or_an_unknown_form_leaves_in_none() -> None:
    kept = bring(source(shapes_of(layout()), told()))
    with pytest.raises(UnusableModel, match="has no index"):
        FILES.export(BytesIO(kept), len(kept), "index", BytesIO())
    with pytest.raises(UnusableModel, match="known are pth and index"):
        FILES.export(BytesIO(kept), len(kept), "wav", BytesIO())


def test_a_pickle_that_calls_is_refused_and_nothing_runs(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    evil = pth(tmp_path / "evil.pth", layout(), config=Called("os system", (f"touch {touched}",)))
    try:
        model = read_pth(evil)
    except UnusableModel:
        model = b""
    if model:
        with pytest.raises(UnusableModel, match="no config of plain values"):
            bring(model)
    assert not touched.exists()


def test_what_training_alone_needs_stays_behind(tmp_path: Path) -> None:
    shapes = {**shapes_of(layout()), "enc_q.pre.weight": (8, 8, 1)}
    with pytest.raises(UnusableModel, match="no voice of RVC has"):
        bring(source(shapes, told()))


@each_row(
    ("changes", "says"),
    [
        ({"hidden": 10**9}, "hidden 1000000000; it must be 1 to 512"),
        ({"initial": 10**9}, "initial"),
        ({"filter": 2049}, "filter"),
        ({"layers": 25}, "layers"),
        ({"layers": True}, "layers True"),
        ({"layers": 2.0}, "layers"),
        ({"inter": 0}, "inter"),
        ({"gin": -1}, "gin"),
        ({"spec_channels": "1025"}, "spec_channels"),
        ({"kernel": 2}, "must be odd"),
        ({"resblock_kernels": [4]}, "must be odd"),
        ({"resblock_kernels": [3] * 5}, "resblock_kernels that make no sense"),
        ({"resblock_kernels": []}, "resblock_kernels that make no sense"),
        ({"resblock_kernels": [3, 5]}, "not as many dilations"),
        ({"resblock_dilations": [[1, 3]]}, "dilations are not those of its resblock"),
        ({"resblock_dilations": [[1, 3, 32]]}, "resblock_dilations 32"),
        ({"resblock_dilations": 3}, "resblock_dilations that make no sense"),
        ({"resblock": "3"}, "known are 1 and 2"),
        ({"dropout": 1.0}, "dropout"),
        ({"dropout": "0"}, "dropout"),
        ({"rate_hz": 44_100}, "the rate 44100"),
        ({"rate_hz": "40k"}, "the rate '40k'"),
        ({"rate_hz": 48_000}, "do not make a frame"),
        ({"rates": [10, 10, 4]}, "not as many kernels as steps"),
        ({"rates": [10, 10, 2, 2], "rate_kernels": [8, 16, 4, 4]}, "a kernel does not fit its step"),
        ({"rate_kernels": [17, 16, 4, 4]}, "a kernel does not fit its step"),
        ({"initial": 24}, "cannot be divided"),
        ({"hidden": 15}, "cannot be divided"),
        ({"inter": 9}, "cannot be divided"),
        ({"heads": 3}, "cannot be divided"),
        ({"initial": 512, "rates": [20, 20], "rate_kernels": [20, 20]}, "several times the work or memory"),
        (
            {
                "initial": 512,
                "resblock_kernels": [31] * 4,
                "resblock_dilations": [[1, 3, 5]] * 4,
            },
            "several times the work or memory",
        ),
        # One of its layers alone would keep a processor for longer than a host may be silent.
        ({"initial": 1024, "resblock_kernels": [23]}, "several times the work or memory"),
        ({"initial": 512, "resblock_kernels": [31]}, "several times the work or memory"),
        (
            {
                "hidden": 512,
                "filter": 2048,
                "kernel": 15,
                "layers": 24,
                "initial": 512,
                "resblock_kernels": [3, 7, 11],
                "resblock_dilations": [[1, 3, 5]] * 3,
            },
            "several times the work or memory",
        ),
    ],
)
def test_a_config_that_makes_no_network_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    assert says in refusal(told(**changes))


@each_row(
    ("rate_hz", "rates", "kernels"),
    [
        (32_000, [10, 4, 2, 2, 2], [16, 16, 4, 4, 4]),
        (32_000, [10, 8, 2, 2], [20, 16, 4, 4]),
        (40_000, [10, 10, 2, 2], [16, 16, 4, 4]),
        (48_000, [10, 6, 2, 2, 2], [16, 16, 4, 4, 4]),
        (48_000, [12, 10, 2, 2], [24, 20, 4, 4]),
    ],
)
def test_all_networks_of_rvc_webui_are_known(rate_hz: int, rates: list[int], kernels: list[int]) -> None:
    inner = [1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3]
    made = read_layout([*inner, rates, 512, kernels, 109, 256, rate_hz], "v2", 1)
    assert made.rate_hz == rate_hz


@each_row("told_rate", ["40k", 40_000, None])
def test_a_rate_beside_the_weights_is_known_in_both_forms_and_may_be_missing(told_rate: object) -> None:
    assert bring(source(shapes_of(layout()), {**told(), "sr": told_rate}))


@each_row(
    ("values", "says"),
    [
        (None, "no config of plain values"),
        ({}, "no config of plain values"),
        ({**told(), "config": 3}, "config"),
        ({**told(), "config": config()[:17]}, "config"),
        ({**told(), "config": [*config(), 1]}, "config"),
        ({**told(), "version": "v3"}, "known are v1 and v2"),
        ({**told(), "f0": 2}, "it must be 0 or 1"),
        ({**told(), "sr": "48k"}, "its rate is 48000, but its config says 40000"),
        ({**told(), "sr": 32_000}, "its rate is 32000"),
        ({**told(), "sr": "k"}, "its rate is 'k'"),
        ({**told(), "version": "v1"}, "enc_p.emb_phone.weight has the shape (16, 768)"),
        ({**told(), "f0": 0}, "which no voice of RVC has"),
    ],
)
def test_what_stands_beside_the_weights_must_be_of_a_voice_that_is_known(
    values: dict[str, Any] | None, says: str
) -> None:
    assert says in refusal(values)


def test_values_that_are_no_json_are_no_config() -> None:
    head = header_of((), {"values": "{"})
    with pytest.raises(UnusableModel, match="no config of plain values"):
        bring(head)
    deep = header_of((), {"values": "[" * 100_000})
    with pytest.raises(UnusableModel):
        bring(deep)


def test_what_has_no_version_and_no_f0_is_of_the_first_one_and_hears_the_pitch() -> None:
    kept = bring(source(shapes_of(layout("v1")), {"config": config()}))
    words = FILES.check(BytesIO(kept), len(kept)).words
    assert (words["version"], words["pitch"]) == ("v1", "yes")


@each_row("rates", [[10, 8, 5], [16, 5, 5], [20, 20, 1]])
def test_steps_that_the_sine_of_the_pitch_does_not_fit_are_for_voices_without(rates: list[int]) -> None:
    steps = {"rates": rates, "rate_kernels": rates}
    assert "the steps after each one must have an even product" in refusal(told(**steps))
    assert read_layout(told(**steps)["config"], "v2", 0).has_pitch is False


def test_a_voice_has_as_many_speakers_as_rows_for_them_whatever_its_config_says() -> None:
    shapes = {**shapes_of(layout()), "emb_g.weight": (3, 8)}
    header = bring(source(shapes, told(speakers=109)))
    assert read_voice_header(BytesIO(header), len(header)).layout.config.speakers == 3


def test_tensors_must_be_exactly_those_of_the_config() -> None:
    shapes = shapes_of(layout())
    first = next(iter(shapes))
    assert f"no tensor {first}" in refusal(
        told(), {name: each for name, each in shapes.items() if name != first}
    )
    assert "has the shape (1, 9)" in refusal(told(), {**shapes, "emb_g.weight": (1, 9)})
    assert "more.weight, which no voice" in refusal(told(), {**shapes, "more.weight": (1,)})
    with pytest.raises(UnusableModel, match="must be F16 or F32"):
        bring(source(shapes, told(), "I32"))
    # Wide numbers are right, too.
    assert bring(source(shapes, told(), "F32"))


def kept_with(vectors: tuple[int, ...], dtype: str = "F16") -> bytes:
    shapes = [(name, "F16", shape) for name, shape in shapes_of(layout()).items()]
    head = header_of([*shapes, (VECTORS, dtype, vectors)], layout().metadata)
    width = {"F16": 2, "F32": 4}[dtype]
    size = sum(2 * int(np.prod(shape)) for _, _, shape in shapes) + width * int(np.prod(vectors))
    return head + bytes(size)


@each_row(
    ("vectors", "dtype", "says"),
    [
        ((3, 256), "F16", "768 wide"),
        ((3, 768), "F32", "must be F16"),
        ((768,), "F16", "768 wide"),
        ((0, 768), "F16", "at most"),
        ((MOST_VECTORS + 1, 768), "F16", "at most 200,000"),
    ],
)
def test_the_features_of_a_kept_voice_are_of_its_width_and_not_too_many(
    vectors: tuple[int, ...], dtype: str, says: str
) -> None:
    kept = kept_with(vectors, dtype)
    with pytest.raises(UnusableModel, match=says):
        FILES.check(BytesIO(kept), len(kept))


@each_row(
    "change",
    [
        {"format": "xtts"},
        {"config": "{"},
        {"config": "[" * 100_000},
        {"sample_rate_hz": "fast"},
        {"sample_rate_hz": "48000"},
        {"version": "v1"},
        {"f0": "0"},
    ],
)
def test_a_kept_voice_whose_header_was_changed_is_refused(change: dict[str, str]) -> None:
    shapes = shapes_of(layout())
    head = header_of(((name, "F16", shape) for name, shape in shapes.items()), layout().metadata | change)
    file = head + bytes(2 * sum(int(np.prod(shape)) for shape in shapes.values()))
    with pytest.raises(UnusableModel):
        FILES.check(BytesIO(file), len(file))


def test_a_file_that_is_cut_off_is_refused() -> None:
    kept = bring(source(shapes_of(layout()), told()))
    for size in (0, 7, 100, len(kept) - 1):
        with pytest.raises(UnusableModel):
            FILES.check(BytesIO(kept[:size]), size)


@each_row(("dtype", "kind"), [("F16", "<f2"), ("F32", "<f4")])
@each_row("value", [np.nan, np.inf, -np.inf])
def test_a_voice_whose_training_went_wrong_is_refused(dtype: str, kind: str, value: float) -> None:
    came = source(shapes_of(layout()), told(), dtype)
    bad = np.array([value], kind).tobytes()
    for file in (came[: -len(bad)] + bad, bring(came)[: -len(bad)] + bad):
        with pytest.raises(UnusableModel, match="has values that are no numbers"):
            bring(file)


def test_the_config_in_the_header_is_plain_json() -> None:
    assert json.loads(layout().metadata["config"]) == config()
