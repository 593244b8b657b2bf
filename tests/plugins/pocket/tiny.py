"""A Pocket TTS model with random weights, made by `python -m tests.plugins.pocket.tiny FOLDER [SIZE]`.

A size is the name of a published one, 2m by default. What it says is noise.
"""

import hashlib
import json
import string
import sys
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file

from plugins.pocket.networks import Networks, build
from plugins.pocket.sizes import PUBLISHED, CodecSide, PocketSizes
from speech_engine.model_files import ModelFileEntry, ModelManifest
from speech_engine.model_manifest import MANIFEST, digest_of

_SIDE = CodecSide(64, 8, 3, 2, 2, 40, 64)
TINY = PocketSizes("tiny", 2, 64, 2, 2, 128, "lsd", 32, 2, _SIDE, _SIDE, ends_above=0.0)
"""As the large ones are built, but small."""
TINY_WITHOUT_START = TINY._replace(name="tiny-without-start", has_start=False, pads_short=True)
TINY_SHARED = TINY._replace(
    name="tiny-shared", heads=4, shared_heads=2, flow="pointwise", rank=16, z=24, is_english=True
)
"""As the small English ones are built: heads that share keys, and tables of low rank."""

_LOUDER = 1.6
_WORDS = ("the", "a", "and", "of", "to", "this", "is", "that", "hello", "there", "test", "voice", "word")


def write_model(folder: Path, size: str = "2m") -> Path:
    """Write a model of a published size, and return its folder."""
    sizes = next(each for each in PUBLISHED if each.name == size)
    folder.mkdir(parents=True, exist_ok=True)
    write_networks(folder, sizes)
    write_manifest(folder, sizes.name, "en")
    return folder


def write_manifest(folder: Path, name: str, *languages: str) -> None:
    """Make a folder look like an imported model."""
    file = folder / "model.safetensors"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    entry = ModelFileEntry(name=file.name, role="weights", bytes=file.stat().st_size, sha256=digest)
    manifest = ModelManifest(
        name=name,
        engine="pocket",
        digest=digest_of("pocket", (entry,)),
        files=(entry,),
        licence="CC-BY-4.0",
        languages=languages,
        parameters=file.stat().st_size // 4,
    )
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))


def write_networks(folder: Path, sizes: PocketSizes) -> Networks:
    """Write a model of any sizes into a folder, and return it."""
    file = folder / "tokenizer.json"
    file.write_text(json.dumps(vocabulary(sizes.tokens), ensure_ascii=False), encoding="utf-8")
    networks = random_networks(sizes, file)
    named = {f"flow_lm.{name}": each for name, each in networks.language_model.state_dict().items()}
    named |= {f"mimi.{name}": each for name, each in networks.codec.state_dict().items()}
    save_file({name: each.clone().contiguous() for name, each in named.items()}, folder / "model.safetensors")
    return networks


def random_networks(sizes: PocketSizes, tokenizer: Path) -> Networks:
    """Return networks that are sure of an end now and then, and whose sound is not silent."""
    torch.manual_seed(0)
    networks = build(sizes, tokenizer)
    model, codec = networks.language_model, networks.codec
    torch.nn.init.normal_(model.speaker_proj_weight, std=0.5)
    torch.nn.init.uniform_(model.emb_std, 0.5, 1.5)
    torch.nn.init.normal_(model.emb_mean, std=0.1)
    torch.nn.init.normal_(model.out_eos.weight, std=4.0 / model.out_eos.weight.shape[1] ** 0.5)
    # One that is served must come to an end of any text.
    surer = 1.0 if sizes in PUBLISHED else -0.5
    torch.nn.init.constant_(model.out_eos.bias, sizes.ends_above + surer)
    for part in codec.modules():
        if isinstance(part, torch.nn.Conv1d | torch.nn.ConvTranspose1d):
            part.weight.data.mul_(_LOUDER)
    return networks


def vocabulary(tokens: int) -> dict[str, Any]:
    """A vocabulary of so many pieces: letters, some words, and others that no text has."""
    marks = [["<unk>", 0.0], ["<s>", 0.0], ["</s>", 0.0], ["▁", -3.0]]
    letters = [[each, -6.0] for each in string.ascii_letters + string.digits + ".,!?;:'-\"" + "éèàüöäßñçãõ"]
    words = [[f"▁{each}", -4.0] for word in _WORDS for each in (word, word.capitalize())]
    made: list[list[Any]] = [*marks, *letters, *words]
    made += [[f"<unused {number}>", -30.0] for number in range(tokens - len(made))]
    space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": False}
    return {
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": space,
        "decoder": space,
        "model": {"type": "Unigram", "unk_id": 0, "vocab": made, "byte_fallback": False},
    }


if __name__ == "__main__":
    write_model(Path(sys.argv[1]), *sys.argv[2:3])
