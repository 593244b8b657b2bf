"""A model's files: each way in which they may be wrong is refused with a sentence, and nothing is fetched."""

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from plugins.pocket.networks import load_networks
from plugins.pocket.sizes import PUBLISHED
from speech_engine.model_files import UnusableModel
from tests.plugins.pocket.in_environment.rig import SIZES, rig
from tests.plugins.pocket.tiny import TINY, TINY_SHARED


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(rig().folder, tmp_path / "model"))


def _refusal(folder: Path) -> str:
    with pytest.raises(UnusableModel) as refused:
        load_networks(folder, SIZES)
    return str(refused.value)


def _edit(folder: Path, change: Callable[[Any], object]) -> None:
    file = folder / "tokenizer.json"
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _edit_tensors(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def test_a_whole_model_is_read_without_any_connection(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise AssertionError("a connection")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    found = load_networks(folder, SIZES)
    assert found.sizes == TINY
    assert not any(module.training for module in (found.language_model, found.codec))
    theirs = rig().networks.language_model.state_dict()
    assert all(torch.equal(each, theirs[name]) for name, each in found.language_model.state_dict().items())


def test_half_floats_are_read(folder: Path) -> None:
    _edit_tensors(
        folder, lambda tensors: tensors.update({name: each.half() for name, each in tensors.items()})
    )
    found = load_networks(folder, SIZES)
    assert found.language_model.out_eos.weight.dtype == torch.float32


def test_a_model_that_is_none_of_the_published_is_refused(folder: Path) -> None:
    with pytest.raises(UnusableModel):
        load_networks(folder, PUBLISHED)
    with pytest.raises(UnusableModel):
        load_networks(folder, (TINY_SHARED,))


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.1, 0.9, 0.99999])
def test_a_file_that_was_cut_off_is_refused(folder: Path, share: float) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    assert "model.safetensors" in _refusal(folder)


def test_a_pickle_is_never_opened(folder: Path) -> None:
    made = folder / "made"
    # It would make a folder of this name.
    (folder / "model.safetensors").write_bytes(b"cos\nmkdir\n(S'" + str(made).encode() + b"'\ntR.")
    assert "model.safetensors" in _refusal(folder)
    assert not made.exists()


_OUT = "flow_lm.out_eos.weight"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda tensors: tensors.pop(_OUT), f"no tensor {_OUT}"),
        (lambda tensors: tensors.update({"flow_lm.more": torch.zeros(1)}), "flow_lm.more, which no such"),
        (lambda tensors: tensors.update({_OUT: torch.zeros(2, 64)}), f"{_OUT} has the shape"),
        (lambda tensors: tensors.update({_OUT: torch.zeros(1, 64).long()}), f"{_OUT} has no floats"),
        (lambda tensors: tensors.update({_OUT: torch.full((1, 64), torch.nan)}), "numbers that are none"),
        (lambda tensors: tensors.update({_OUT: torch.full((1, 64), torch.inf)}), "numbers that are none"),
        (lambda tensors: tensors.update({_OUT: torch.zeros(0, 64)}), "is empty"),
        (lambda tensors: tensors["flow_lm.speaker_proj_weight"].zero_(), "knows no voices"),
    ],
)
def test_wrong_tensors_are_named(folder: Path, change: Callable[[dict[str, Any]], object], says: str) -> None:
    _edit_tensors(folder, change)
    assert says in _refusal(folder)


_SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$x"}, "behavior": "Isolated", "invert": False}
_REPLACE = {"type": "Replace", "pattern": {"Regex": "(a|a)+b"}, "content": ""}


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        ("pre_tokenizer", _SPLIT, "its pre_tokenizer must be Metaspace; it is 'Split'"),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [_SPLIT]}, "it is 'Split'"),
        ("normalizer", _REPLACE, "a pattern other than runs of spaces"),
        ("normalizer", {"type": "Sequence", "normalizers": [_REPLACE]}, "a pattern other than"),
        ("normalizer", {"type": "Sequence", "normalizers": [7]}, "it is '7'"),
        ("decoder", {"type": "CTC"}, "its decoder must be"),
        ("post_processor", {"type": "TemplateProcessing"}, "its post_processor must not be there"),
        ("padding", {"strategy": {"Fixed": 10**9}, "pad_id": 0}, "its padding must not"),
        ("truncation", {"max_length": 3}, "its truncation must not"),
        ("added_tokens", [{"id": 10**9, "content": "x y"}], "it has 4,001 tokens"),
        ("added_tokens", 7, "added_tokens make no sense"),
        ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "tokenizer.json"),
    ],
)
def test_a_vocabulary_that_does_other_things_with_a_text_is_refused(
    folder: Path, part: str, value: object, says: str
) -> None:
    _edit(folder, lambda content: content.update({part: value}))
    assert says in _refusal(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"type": "WordPiece"}, "must be Unigram or BPE"),
        ({"dropout": 0.5}, "without dropout"),
        ({"vocab": [["a", -1.0]]}, "it has 1 tokens"),
        ({"vocab": [["a", -1.0]] * 4000}, "a token twice"),
        ({"vocab": [["a", 1e308]]}, "scores that make no sense"),
        ({"vocab": 7}, "tokens make no sense"),
        ({"vocab": [[7]]}, "tokens make no sense"),
        ({"type": "BPE", "vocab": {"a": 5}, "merges": []}, "numbers of its tokens"),
        ({"unk_id": 10**12}, "tokenizer.json"),
    ],
)
def test_a_vocabulary_of_another_kind_is_refused(folder: Path, change: dict[str, Any], says: str) -> None:
    _edit(folder, lambda content: content["model"].update(change))
    assert says in _refusal(folder)


@pytest.mark.parametrize("content", ["[]", '{"model": 3}', "{", "", "[" * 100_000])
def test_a_vocabulary_that_is_none_is_refused(folder: Path, content: str) -> None:
    (folder / "tokenizer.json").write_text(content)
    assert "tokenizer.json" in _refusal(folder)


@pytest.mark.parametrize("name", ["tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in _refusal(folder)
