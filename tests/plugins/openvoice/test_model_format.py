"""The files of the converter: what is taken of them, and what is refused before anything is built."""

import json
import random
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import plugins
from plugins.openvoice.layers import PUBLISHED, shapes_of
from plugins.openvoice.model_format import MODEL_FORMAT, check_tensors
from proxy.features.models.conversion_child import convert
from proxy.features.models.entries import read_gallery
from proxy.features.models.importing import choose_file
from speech_engine.model_files import FolderContents, UnusableModel
from tests.checkpoints import Called, archive
from tests.plugins.openvoice.tiny import CONFIG, TINY, checkpoint, random_tensors
from tests.tables import each_row

WEIGHTS = MODEL_FORMAT.files[0]
TENSORS = random_tensors()
FILE = checkpoint(TENSORS)
NOTHING = float("nan")
MUTATED = 200


def imported(folder: Path, file: bytes, config: Any = CONFIG) -> FolderContents:
    """Bring a file in as an import does. Raise UnusableModel."""
    folder.mkdir(exist_ok=True)
    with (folder / "model.safetensors").open("wb") as target:
        convert(BytesIO(file), len(file), target, WEIGHTS, lambda _done, _of: None)
    (folder / "config.json").write_text(json.dumps(config))
    return FolderContents(MODEL_FORMAT.files, folder)


def test_the_sizes_are_those_of_the_published_file() -> None:
    """Upstream's classes have as many tensors and numbers; the rest of the file are names and edges."""
    shapes = shapes_of(PUBLISHED)
    numbers = sum(map(prod, shapes.values()))
    assert (len(shapes), numbers) == (486, 32_792_226)
    entry = read_gallery(Path(plugins.__path__[0]) / "openvoice" / "gallery.toml")["openvoice-v2"]
    by_name = {file.name: file for file in entry.files}
    assert 0 < by_name["checkpoint.pth"].size - 4 * numbers < 200_000
    found = [choose_file(Path("x"), sorted(by_name), file, "") for file in MODEL_FORMAT.files]
    assert sorted(filter(None, found)) == sorted(by_name)
    assert (entry.licence, entry.speaks_samples, entry.gated) == ("MIT", True, False)
    assert entry.terms
    assert entry.terms_page


def test_a_checkpoint_of_known_sizes_is_taken_to_the_number(tmp_path: Path) -> None:
    model = imported(tmp_path, FILE)
    check_tensors(model, TINY)
    data = (tmp_path / "model.safetensors").read_bytes()
    for name, info in model.tensors("weights").items():
        assert np.array_equal(
            np.frombuffer(data, "<f4", info.numbers, info.begin).reshape(info.shape), TENSORS[name]
        ), name
    # No published one is so small.
    with pytest.raises(UnusableModel, match=r"has the shape \(.*\); it should be"):
        check_tensors(model)


def _changed(name: str, value: Any) -> bytes:
    return checkpoint({**TENSORS, name: value})


def _with_number(number: float) -> bytes:
    value = TENSORS["dec.ups.1.weight_v"].copy()
    value.flat[77] = number
    return _changed("dec.ups.1.weight_v", value)


def _packed(compression: int = zipfile.ZIP_STORED, **members: Any) -> Callable[[Path], bytes]:
    return lambda folder: archive(
        folder / "c.pth", members.get("value", {"model": {}}), {"0": bytes(2**20)}, compression=compression
    ).read_bytes()


BROKEN: dict[str, tuple[Callable[[Path], bytes], str]] = {
    "code": (_packed(value={"model": {}, "config": Called("posix system", ("true",))}), r"posix\.system"),
    "a zip bomb": (_packed(zipfile.ZIP_DEFLATED), "compressed"),
    "an old pickle": (
        lambda _: b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        "neither safetensors nor an archive",
    ),
    "half a file": (lambda _: FILE[: len(FILE) // 2], "cut off or damaged"),
    "a page of a hub": (lambda _: b"<!doctype html><html></html>", "neither safetensors nor an archive"),
    "nothing": (lambda _: b"", "neither safetensors nor an archive"),
    "a number that is none": (
        lambda _: _with_number(NOTHING),
        r"dec\.ups\.1\.weight_v has numbers that are not finite",
    ),
    "an infinite number": (lambda _: _with_number(float("-inf")), "not finite"),
    "another size": (
        lambda _: _changed("ref_enc.proj.weight", TENSORS["ref_enc.proj.weight"][:, :-1]),
        r"ref_enc\.proj\.weight has the shape \(8, 127\); it should be \(8, 128\)",
    ),
    "a tensor more": (
        lambda _: _changed("enc_p.emb.weight", np.zeros((2, 2), "f")),
        "enc_p.emb.weight, which no such",
    ),
    "a tensor less": (
        lambda _: checkpoint({name: each for name, each in TENSORS.items() if name != "dec.cond.bias"}),
        r"it has no tensor dec\.cond\.bias",
    ),
}


@each_row(("file", "says"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_checkpoint_is_refused_by_what_is_wrong(
    tmp_path: Path, file: Callable[[Path], bytes], says: str
) -> None:
    with pytest.raises(UnusableModel, match=says):
        check_tensors(imported(tmp_path, file(tmp_path)), TINY)


@each_row(
    ("part", "key", "value", "says"),
    [
        (
            "data",
            "sampling_rate",
            24_000,
            "data.sampling_rate is 24000; it must be a whole number from 22050",
        ),
        ("data", "hop_length", 512, "data.hop_length is 512"),
        ("data", "filter_length", None, "data.filter_length is missing"),
        ("data", "win_length", 10**9, "data.win_length is 1000000000"),
        ("model", "zero_g", False, "model.zero_g must be true"),
    ],
)
def test_a_configuration_of_another_converter_is_refused(
    tmp_path: Path, part: str, key: str, value: Any, says: str
) -> None:
    config = {**CONFIG, part: {**CONFIG[part], key: value}}
    with pytest.raises(UnusableModel, match=says):
        check_tensors(imported(tmp_path, FILE, config), TINY)


def test_no_other_key_of_the_configuration_counts(tmp_path: Path) -> None:
    config = {**CONFIG, "model": {"zero_g": True, "inter_channels": 10**9, "upsample_rates": "rm -rf"}}
    check_tensors(imported(tmp_path, FILE, config), TINY)


@pytest.mark.slow
def test_files_with_changed_bytes_are_refused_or_taken(tmp_path: Path) -> None:
    """Most changes hit the list of tensors, the directory or a header, where they do most harm."""
    draw = random.Random(7)
    refused = 0
    places = [*range(20_000), *range(len(FILE) - 60_000, len(FILE))]
    for number in range(MUTATED):
        changed = bytearray(FILE)
        for _ in range(draw.choice((1, 4, 32))):
            at = draw.choice(places) if number % 4 else draw.randrange(len(FILE))
            changed[at] = draw.randrange(256)
        if number % 10 == 0:
            del changed[draw.randrange(len(changed)) :]
        elif number % 10 == 1:
            struct.pack_into("<f", changed, draw.randrange(30_000, len(FILE) - 100_000) // 4 * 4, NOTHING)
        try:
            check_tensors(imported(tmp_path, bytes(changed)), TINY)
        except UnusableModel:
            refused += 1
    print(f"{refused} of {MUTATED} changed files are refused")
    assert MUTATED // 4 < refused < MUTATED
