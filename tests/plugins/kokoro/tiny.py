"""A tiny model of Kokoro's layout that speaks in tones, as Piper's tiny voices do.

The first number of a style raises all tones, so that a voice is known by its pitch. As in the real files,
what was made passes a Loop.
"""

import json
import math
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests import onnx_bytes as onnx
from tests.plugins.piper import tiny as piper_tiny

RATE_HZ = 24_000
SYMBOLS = (
    "_ ;:,.!?abcdefhijklmnopqrstuvwxyzAIOQTWY"
    "\u00e6\u00f0\u014b\u0251\u0254\u0259\u025b\u025c\u0261\u026a\u0279\u027e"
    "\u0283\u028a\u028c\u0292\u02c8\u02cc\u02d0\u03b8\u02a4\u02a7\u0303"
    "ɤɯʔʨʰ→↓↘↑↗"
)
"""The first one is the pad, which no text has."""
VOICES = {"af_heart": 0.0, "am_echo": 100.0, "bf_emma": 200.0, "pf_dora": 300.0}
"""How much higher each voice is."""
FOR_EVER = 1 << 40
FRAME = 600
"""The samples of a unit of the lengths. A network that tells lengths makes each sound two units long."""
LENGTHS_SPEED = piper_tiny.TONE_SAMPLES * RATE_HZ / piper_tiny.RATE_HZ / (2 * FRAME)
"""The speed for `heard` of a network that tells lengths."""


class Lengths(NamedTuple):
    """How a network tells its lengths: between which bounds, and what it sums up. Its speed divides them."""

    least: float = 1.0
    most: float = 50.0
    axis: int = 2
    times: int = 1


class Form(NamedTuple):
    """What exports call differently: the style, and an output for the lengths if they have one."""

    style: str = "style"
    lengths: str = ""


KOKORO, THAI = Form(), Form("ref_s", "durations")
THAI_VOICE = "tf_som"
WORDS = {
    "สวัสดี": "/sa˨˩.wat̚˨˩.diː˧/",
    "ครับ": "/kʰrap̚˦˥/",
    "เรือ": "/rɯa̯˧/",
    "เรือชา": "/rɯa̯˧.t͡ɕʰaː˧/",
    "ชาม": "/t͡ɕʰaːm˧/",
    "ละ": "/laʔ˦˥/",
    "มละ": "/ma˦˥.laʔ˦˥/",
    "น้ำ": "/naːm˦˥/",
    "ไป": "/paj˧/",
    "สอง": "/sɔːŋ˩˩˦/",
}
"""A dictionary in the form of the real one."""

heard = partial(piper_tiny.heard, rate_hz=RATE_HZ, symbols=SYMBOLS)


def pitch(pcm: bytes) -> float:
    """Return how much higher than the default voice an answer is, by its first pad."""
    return piper_tiny.pitch(pcm, RATE_HZ) - piper_tiny.BASE_HZ


def model(
    folder: Path,
    voices: Mapping[str, float] = VOICES,
    *,
    turns: int = 1,
    tokens: str = "tokens",
    lengths: Lengths | None = None,
    form: Form = KOKORO,
    styles: Callable[[float], np.ndarray[tuple[int, ...], np.dtype[np.float32]]] | None = None,
) -> Path:
    """Write a model as it is downloaded, and return its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kokoro-v1.0.onnx").write_bytes(network(turns, tokens, lengths, form))
    (folder / "config.json").write_text(json.dumps(config()))
    made = {name: (styles or _styles)(higher) for name, higher in voices.items()}
    with (folder / "voices-v1.0.bin").open("wb") as file:
        np.savez(file, **made)  # type: ignore[arg-type]
    return folder


def thai(folder: Path, lengths: Lengths | None = None, *, tells: bool = True, words: object = WORDS) -> Path:
    """Write a model that learned Thai as it is downloaded, and return its folder. With `tells`, it has an
    output for its lengths."""
    named = {"tokens": "input_ids", "form": THAI if tells else THAI._replace(lengths="")}
    told = (lengths or Lengths()) if tells else None
    model(folder, {THAI_VOICE: 0.0}, lengths=told, **named)  # type: ignore[arg-type]
    (folder / "voices-v1.0.bin").unlink()
    np.save(folder / f"{THAI_VOICE}.npy", _styles(0.0))
    if words is not None:
        (folder / "ipa.json").write_text(json.dumps(words))
    return folder


def thai_stored(folder: Path, lengths: Lengths | None = None, **more: object) -> Path:
    """Write it as it is stored."""
    thai(folder, lengths, **more)  # type: ignore[arg-type]
    (folder / "kokoro-v1.0.onnx").rename(folder / "model.onnx")
    array = np.load(folder / f"{THAI_VOICE}.npy")
    np.savez(folder / "voices.npz", **{THAI_VOICE: array})
    if (folder / "ipa.json").exists():
        (folder / "ipa.json").rename(folder / "words.json")
    return folder


def stored(folder: Path, **more: object) -> Path:
    """Write a model as it is stored."""
    model(folder, **more)  # type: ignore[arg-type]
    (folder / "kokoro-v1.0.onnx").rename(folder / "model.onnx")
    (folder / "voices-v1.0.bin").rename(folder / "voices.npz")
    return folder


def config() -> dict[str, object]:
    return {
        "n_token": len(SYMBOLS),
        "vocab": {symbol: number for number, symbol in enumerate(SYMBOLS) if number},
    }


def network(
    turns: int = 1, tokens: str = "tokens", lengths: Lengths | None = None, form: Form = KOKORO
) -> bytes:
    """A model whose sound is sin(2 pi f t) for each symbol. After `turns`, its Loop lets the sound go on.
    With `lengths`, a value tells how long each symbol is, as in the real files."""
    turn = 2 * math.pi / RATE_HZ
    nodes = [
        onnx.node("Gather", f"pitches {tokens}", "steps"),  # [1, N]
        onnx.node("Gather", f"{form.style} first", "higher", onnx.attribute("axis", 1)),  # [1, 1]
        onnx.node("Mul", "higher turn", "shift"),
        onnx.node("Add", "steps shift", "pitch"),
        onnx.node("Unsqueeze", "pitch last", "pitch_column"),  # [1, N, 1]
        onnx.node("Div", "samples speed", "exact"),
        # The real files make whole units.
        *([onnx.node("Round", "exact", "whole_units")] if lengths else []),
        onnx.node("Mul", "whole_units unit" if lengths else "exact one", "length"),
        onnx.node("Squeeze", "length", "stretched"),
        onnx.node("Range", "zero stretched one", "times"),  # [S]
        onnx.node("Mul", "pitch_column times", "phases"),  # [1, N, S]
        onnx.node("Sin", "phases", "sound"),
        onnx.node("Loop", "turns go sound", "looped", _body()),
        onnx.node("Mul", "looped loudness", "quiet"),
        onnx.node("Reshape", "quiet whole", "audio"),
        *(
            each
            for number in range(lengths.times if lengths else 0)
            for each in _length_nodes(tokens, number)
        ),
    ]
    usual = piper_tiny.TONE_SAMPLES * RATE_HZ / piper_tiny.RATE_HZ
    tensors = [
        onnx.floats(
            "pitches",
            [turn * (piper_tiny.BASE_HZ + piper_tiny.STEP_HZ * number) for number in range(len(SYMBOLS))],
        ),
        onnx.scalar("turn", turn),
        onnx.ints("first", [0]),
        onnx.scalar("samples", 2 if lengths else usual),
        onnx.scalar("unit", FRAME),
        onnx.scalar("zero", 0.0),
        onnx.scalar("one", 1.0),
        onnx.scalar("loudness", 0.3),
        onnx.int_scalar("turns", turns),
        onnx.tensor("go", onnx.BOOL, (), b"\x01"),
        onnx.ints("last", [2]),
        onnx.ints("whole", [-1]),
        *(_length_tensors(lengths) if lengths else ()),
    ]
    inputs = [
        onnx.value(tokens, onnx.INT64, 1, "length"),
        onnx.value(form.style, onnx.FLOAT, 1, 256),
        onnx.value("speed", onnx.FLOAT, 1),
    ]
    outputs = [onnx.value("audio", onnx.FLOAT, "time")]
    if form.lengths:
        nodes.append(onnx.node("Identity", "units_0", form.lengths))
        outputs.append(onnx.value(form.lengths, onnx.INT64, 1, "length"))
    return onnx.model(onnx.graph(nodes, tensors, inputs, outputs))


def _length_nodes(tokens: str, number: int) -> list[bytes]:
    """The operators that tell lengths, as torch writes them."""
    return [
        onnx.node("Gather", f"likely {tokens}", f"likely_{number}"),  # [1, N, 2]
        onnx.node("Sigmoid", f"likely_{number}", f"parts_{number}"),
        onnx.node("ReduceSum", f"parts_{number} axis", f"sum_{number}", onnx.attribute("keepdims", 0)),
        onnx.node("Div", f"sum_{number} speed", f"slowed_{number}"),
        onnx.node("Round", f"slowed_{number}", f"rounded_{number}"),
        onnx.node("Clip", f"rounded_{number} least most", f"bounded_{number}"),
        onnx.node("Cast", f"bounded_{number}", f"units_{number}", onnx.attribute("to", onnx.INT64)),
    ]


def _length_tensors(lengths: Lengths) -> list[bytes]:
    return [
        onnx.floats("likely", [20.0] * 2 * len(SYMBOLS), len(SYMBOLS), 2),
        onnx.ints("axis", [lengths.axis]),
        onnx.scalar("least", lengths.least),
        onnx.scalar("most", lengths.most),
    ]


def _body() -> bytes:
    kept = [onnx.node("Identity", "goes", "goes_on"), onnx.node("Identity", "kept", "keeps")]
    inputs = [
        onnx.value("turn_number", onnx.INT64),
        onnx.value("goes", onnx.BOOL),
        onnx.value("kept", onnx.FLOAT, "a", "b", "c"),
    ]
    outputs = [onnx.value("goes_on", onnx.BOOL), onnx.value("keeps", onnx.FLOAT, "a", "b", "c")]
    return onnx.part(1, "body") + onnx.part(6, onnx.graph(kept, [], inputs, outputs)) + onnx.number(20, 5)


def _styles(higher: float) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    made = np.zeros((510, 1, 256), np.float32)
    made[:, 0, 0] = higher
    return made
