"""A random RVC model and voices: `python -m tests.plugins.rvc.tiny FOLDER [KIND]`, where torch is.

The KIND `begins` has the networks from which a training begins, too, as an import keeps them; `sources` as
their makers save them, and HuBERT as fairseq does.

The tiny ones have every part of real ones: HuBERT in 22 MB, and a voice in 250 kB. What they say is noise.
Benches make some of full size.
"""

import json
import re
import sys
from argparse import Namespace
from pathlib import Path
from types import ModuleType
from typing import Any

from plugins.rvc.hubert import Hubert
from plugins.rvc.model_format import HubertSizes
from plugins.rvc.networks import build_generator
from plugins.rvc.voice_rules import VECTORS, WIDTHS, Version, VoiceConfig, VoiceLayout

# isort: split
import torch
from safetensors.torch import load_file, save, save_file

TINY_HUBERT = HubertSizes(768, 2, 4, 64, (32,) * 7, 16, 16, 256)
FULL_HUBERT = HubertSizes(768, 12, 12, 3072, (512,) * 7, 128, 16, 256)
"""The sizes of the published HuBERT, whose network has 95 million numbers."""

FAIRSEQ_NAMES = (
    (r"conv_layers\.(\d)\.conv\.", r"conv_layers.\1.0."),
    (r"conv_layers\.0\.layer_norm\.", "conv_layers.0.2."),
    (r"feature_projection\.projection\.", "post_extract_proj."),
    (r"feature_projection\.layer_norm\.", "layer_norm."),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original0", "pos_conv.0.weight_g"),
    (r"pos_conv_embed\.conv\.parametrizations\.weight\.original1", "pos_conv.0.weight_v"),
    (r"pos_conv_embed\.conv\.bias", "pos_conv.0.bias"),
    (r"(layers\.\d\.)attention\.", r"\1self_attn."),
    (r"(layers\.\d\.)layer_norm\.", r"\1self_attn_layer_norm."),
    (r"feed_forward\.intermediate_dense", "fc1"),
    (r"feed_forward\.output_dense", "fc2"),
)
"""The names of transformers, and those of fairseq."""

_UPSAMPLING: dict[int, tuple[list[int], list[int]]] = {
    32_000: ([10, 8, 2, 2], [20, 16, 4, 4]),
    40_000: ([10, 10, 2, 2], [16, 16, 4, 4]),
    48_000: ([12, 10, 2, 2], [24, 20, 4, 4]),
}


def layout(
    version: Version = "v2",
    *,
    has_pitch: bool = True,
    rate_hz: int = 40_000,
    is_full: bool = False,
    initial: int = 32,
) -> VoiceLayout:
    rates, kernels = _UPSAMPLING[rate_hz]
    config: tuple[Any, ...]
    if is_full:
        inner = [1025, 32, 192, 192, 768, 2, 6, 3, 0, "1", [3, 7, 11], [[1, 3, 5]] * 3]
        config = (*inner, rates, 512, kernels, 109, 256, rate_hz)
    else:
        inner = [1025, 32, 8, 16, 32, 2, 1, 3, 0, "1", [3], [[1, 3, 5]]]
        config = (*inner, rates, initial, kernels, 1, 8, rate_hz)
    return VoiceLayout(version, has_pitch, rate_hz, VoiceConfig(*config))


LAYOUTS = (
    layout("v1"),
    layout("v1", has_pitch=False),
    layout("v2"),
    layout("v2", has_pitch=False),
    layout("v2", rate_hz=48_000),
)


def voice_file(of: VoiceLayout, seed: int = 0, *, loudness: float = 0.1, vectors: int = 0) -> bytes:
    """Return the file of a voice of random numbers, as an import makes it. Other seeds make other voices, and
    each is as loud as it is told, about."""
    torch.manual_seed(seed)
    network = build_generator(of)
    with torch.no_grad():
        # As it is made, a small one hardly hears what is said, and is nearly silent.
        network.enc_p.proj.weight.mul_(5.0)
        hidden = torch.randn(1, of.channels, 100)
        told = (hidden, torch.full((1, 100), 150.0)) if of.has_pitch else (hidden,)
        network.dec.conv_post.weight.mul_(loudness / torch.atanh(network.dec(*told)).std())
    tensors = {
        name: value.half().contiguous()
        for name, value in network.state_dict().items()
        if not name.startswith("enc_q.")
    }
    if vectors:
        tensors[VECTORS] = torch.randn(vectors, WIDTHS[of.version]).half()
    about = {
        "format": "rvc",
        "version": of.version,
        "f0": str(int(of.has_pitch)),
        "sample_rate_hz": str(of.rate_hz),
        "config": json.dumps(of.config),
    }
    return bytes(save(tensors, about))


def write_model(folder: Path, sizes: HubertSizes = TINY_HUBERT) -> Path:
    """Write HuBERT with random numbers as an import stores it, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    network = Hubert(sizes)
    tensors = {name.removeprefix("model."): value for name, value in network.state_dict().items()}
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(_config(sizes)))
    return folder


def write_fairseq(folder: Path) -> None:
    """Write HuBERT of a folder as fairseq saves it: with its own names, in halves, beside its settings."""
    model = {}
    for name, value in load_file(folder / "model.safetensors").items():
        for ours, theirs in FAIRSEQ_NAMES:
            name = re.sub(ours, theirs, name)
        model[name] = value.half()
    module = ModuleType("fairseq.data.dictionary")
    dictionary = type("Dictionary", (), {"__module__": module.__name__})
    module.Dictionary = dictionary  # type: ignore[attr-defined]
    for part in ("fairseq", "fairseq.data", module.__name__):
        sys.modules[part] = module
    labels = dictionary()
    labels.symbols = ["<s>", "0"]
    settings = {
        "args": None,
        "cfg": {"task": Namespace(labels=["km"])},
        "task_state": {"dictionaries": [labels]},
    }
    torch.save(
        {**settings, "model": {**model, "mask_emb": torch.ones(768).half()}}, folder / "hubert_base.pt"
    )


def begin(initial: int = 32) -> dict[str, Any]:
    """Return the weights of a tiny network from which a training begins, so wide where its sound begins."""
    torch.manual_seed(3)
    network = build_generator(layout(initial=initial))
    return {name: value.contiguous() for name, value in network.state_dict().items()}


def _config(sizes: HubertSizes) -> dict[str, Any]:
    return {
        "model_type": "hubert",
        "hidden_size": sizes.hidden,
        "num_hidden_layers": sizes.layers,
        "num_attention_heads": sizes.heads,
        "intermediate_size": sizes.inner,
        "conv_dim": list(sizes.conv_widths),
        "num_conv_pos_embeddings": sizes.positions,
        "num_conv_pos_embedding_groups": sizes.groups,
    }


if __name__ == "__main__":
    made = write_model(Path(sys.argv[1]))
    if "begins" in sys.argv[2:]:
        save_file(begin(), made / "generator_40k.safetensors")
    if "sources" in sys.argv[2:]:
        torch.save({"model": begin(), "iteration": 1, "learning_rate": 1e-4}, made / "f0G40k.pth")
        write_fairseq(made)
    for number, each in enumerate(LAYOUTS):
        (made / f"voice_{number}.safetensors").write_bytes(voice_file(each, number))
