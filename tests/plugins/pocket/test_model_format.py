"""The weights that a gallery lists for anybody are networks that we know, in numbers of 16 bits."""

import json
from math import prod
from pathlib import Path

import pytest

import plugins
from plugins.pocket.model_format import MODEL_FORMAT, check_pocket, find_sizes
from plugins.pocket.sizes import PUBLISHED, shapes_of
from proxy.features.models.entries import GalleryEntry, read_gallery
from speech_engine.model_files import FolderContents, UnusableModel

GALLERY = read_gallery(Path(plugins.__path__[0]) / "pocket" / "gallery.toml")
OWN = {name: entry for name, entry in GALLERY.items() if not entry.gated}
SIZES = {each.name: each for each in PUBLISHED}


def _size(entry: GalleryEntry) -> int:
    (weights,) = (file for file in entry.files if file.name == "model.safetensors")
    return weights.size


def _write_model(folder: Path, size_name: str, tokens: int = 4000) -> FolderContents:
    """Write the header of true shapes in BF16 as the library does: sorted, in a multiple of eight bytes.

    There is a hole in place of the numbers.
    """
    header, end = dict[str, object](), 0
    for name, shape in sorted(shapes_of(SIZES[size_name]).items()):
        begin, end = end, end + 2 * prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with (folder / "model.safetensors").open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(len(text) + 8 + end)
    vocabulary = [[f"▁{number}", -1.0] for number in range(tokens)]
    (folder / "tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": vocabulary}}))
    return FolderContents(MODEL_FORMAT.files, folder)


@pytest.mark.parametrize(("name", "size_name"), [("pocket-own-en", "100m"), ("pocket-own-fr", "24-layers")])
def test_a_file_of_true_shapes_is_taken_and_a_vocabulary_of_another_size_is_not(
    tmp_path: Path, name: str, size_name: str
) -> None:
    model = _write_model(tmp_path, size_name)
    # To the byte: another name, shape or kind of number would have another header.
    assert (tmp_path / "model.safetensors").stat().st_size == _size(OWN[name])
    assert find_sizes(model).name == size_name
    # The weights cannot tell their language; the gallery does.
    assert check_pocket(model).languages == ()
    other = _write_model(tmp_path, size_name, tokens=4001)
    with pytest.raises(UnusableModel, match="it has 4,001 tokens; this model has 4,000"):
        check_pocket(other)
    with (tmp_path / "model.safetensors").open("r+b") as file:
        file.truncate(_size(OWN[name]) // 2)
    half = FolderContents(MODEL_FORMAT.files, tmp_path)
    with pytest.raises(UnusableModel, match=r"model\.safetensors"):
        find_sizes(half)
