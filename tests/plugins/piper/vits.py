"""A tiny voice with the parts of a real one: an encoder, and a decoder of convolutions, where voices are cut.

What it says is noise that depends on the text.
"""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tests import onnx_bytes as onnx
from tests.plugins.piper import tiny

WIDTH, HOP = 4, 8
PRE, COND, EMBEDDING = "dec.conv_pre.weight", "dec.cond.weight", "enc_p.emb.weight"


def voice(folder: Path, *speakers: str, **changes: bytes) -> Path:
    """Write a voice, and return its `.onnx`. `changes` are those of `network`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "vits.onnx"
    path.write_bytes(network(len(speakers), changes))
    path.with_name("vits.onnx.json").write_text(json.dumps(tiny.config(speakers=speakers)))
    return path


def network(
    speakers: int = 0,
    changes: Mapping[str, bytes] = {},
    more: tuple[bytes, ...] = (),
    weights: tuple[bytes, ...] = (),
) -> bytes:
    """A whole file. `changes` replace nodes by the names of their outputs; `more` nodes come last."""
    nodes = {
        "rows": onnx.node("Gather", f"{EMBEDDING} input", "rows"),
        "turned": onnx.node("Transpose", "rows", "turned", onnx.attribute("perm", [0, 2, 1])),
        "frames": onnx.node("Tanh", "turned", "frames"),
        **(_speaker() if speakers else {}),
        "pre": onnx.node("Conv", f"frames {PRE}", "pre", onnx.attribute("pads", [3, 3])),
        "told": onnx.node("Add", "pre cond", "told") if speakers else onnx.node("Relu", "pre", "told"),
        "up": onnx.node(
            "ConvTranspose",
            "told dec.ups.0.weight",
            "up",
            onnx.attribute("strides", [HOP]),
            onnx.attribute("pads", [HOP // 2, HOP // 2]),
        ),
        "soft": onnx.node("LeakyRelu", "up", "soft"),
        "wide": onnx.node(
            "Conv",
            "soft dec.res.weight",
            "wide",
            onnx.attribute("dilations", [3]),
            onnx.attribute("pads", [9, 9]),
        ),
        "both": onnx.node("Add", "wide up", "both"),
        "two": onnx.node("Constant", "", "two", onnx.attribute("value", onnx.scalar("", 2.0))),
        "mean": onnx.node("Div", "both two", "mean"),
        "post": onnx.node("Conv", "mean dec.conv_post.weight", "post", onnx.attribute("pads", [3, 3])),
        "sound": onnx.node("Tanh", "post", "sound"),
        "output": onnx.node("Unsqueeze", "sound axes", "output"),
        **changes,
    }
    tensors = [
        _weight(EMBEDDING, len(tiny.SYMBOLS), WIDTH),
        _weight(PRE, 2 * WIDTH, WIDTH, 7),
        _weight("dec.ups.0.weight", 2 * WIDTH, WIDTH, 2 * HOP),
        _weight("dec.res.weight", WIDTH, WIDTH, 7),
        _weight("dec.conv_post.weight", 1, WIDTH, 7),
        onnx.ints("axes", [1]),
        *weights,
    ]
    if speakers:
        tensors += [_weight("emb_g.weight", speakers, WIDTH), _weight(COND, 2 * WIDTH, WIDTH, 1)]
        tensors += [onnx.ints("last", [2])]
    inputs = [
        onnx.value("input", onnx.INT64, "batch", "phonemes"),
        onnx.value("input_lengths", onnx.INT64, "batch"),
        onnx.value("scales", onnx.FLOAT, 3),
        *([onnx.value("sid", onnx.INT64, "batch")] if speakers else ()),
    ]
    outputs = [onnx.value("output", onnx.FLOAT, "batch", 1, 1, "time")]
    return onnx.model(onnx.graph([*nodes.values(), *more], tensors, inputs, outputs))


def _speaker() -> dict[str, bytes]:
    return {
        "own": onnx.node("Gather", "emb_g.weight sid", "own"),
        "steady": onnx.node("Unsqueeze", "own last", "steady"),
        "cond": onnx.node("Conv", f"steady {COND}", "cond"),
    }


def _weight(name: str, *shape: int) -> bytes:
    chance = np.random.default_rng(sum(name.encode()))
    values = chance.normal(0, 1 / np.sqrt(np.prod(shape[1:])), shape).astype("<f4")
    return onnx.tensor(name, onnx.FLOAT, shape, values.tobytes())
