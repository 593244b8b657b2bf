"""Export a voice as ONNX, for sounds of any length, with the names that other programs use.

torch's export would fix the length of its example, because the attention counts positions. So this file looks
the positions up, which gives the same numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from io import BytesIO
from types import MethodType
from typing import Any

import plugins.rvc.boot  # noqa: F401 - before rvc

# isort: split
import numpy as np
import onnxruntime
import torch
from rvc.lib.infer_pack.attentions import MultiHeadAttention

from plugins.rvc.checkpoint import read_voice
from plugins.rvc.generator import SINE, take_excitation
from plugins.rvc.networks import build_generator, fold_weight_norms
from plugins.rvc.voice_rules import WIDTHS, VoiceLayout
from speech_engine.host.weights import fill
from speech_engine.training import TrainingError

MOST_DIFFERENCE = 1e-3
CHECKED_FRAMES = (57, 100, 300)
"""The lengths in frames of the sounds that test each file."""
_SPREAD = 0.66666
_OPSET = 17
_TAU = 2.0 * np.pi


def as_onnx(voice: bytes) -> bytes:
    """Return a voice as a tested ONNX file. Raise TrainingError or UnusableModel."""
    layout, tensors, _ = read_voice(voice)
    network = _Voice(layout)
    fill(network.network, {name: each.float() for name, each in tensors.items()}, "the voice")
    network.fold()
    made = BytesIO()
    names = [name for name, _ in network.inputs(CHECKED_FRAMES[1], 0)]
    with torch.no_grad(), warnings.catch_warnings():
        # torch warns about its older export, but only that one allows any length.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            tuple(value for _, value in network.inputs(CHECKED_FRAMES[1], 0)),
            made,
            input_names=names,
            output_names=["audio"],
            dynamic_axes={name: axes for name, axes in _AXES.items() if name in names or name == "audio"},
            opset_version=_OPSET,
            dynamo=False,
        )
    data = made.getvalue()
    for frames in CHECKED_FRAMES:
        difference = compare(network, data, frames)
        if not difference < MOST_DIFFERENCE:
            raise TrainingError(f"its ONNX sounds otherwise, by {difference:g} at {frames} frames")
    return data


_AXES = {"phone": {1: "t"}, "pitch": {1: "t"}, "pitchf": {1: "t"}, "rnd": {2: "t"}, "audio": {2: "samples"}}


def compare(network: _Voice, data: bytes, frames: int) -> float:
    """Return the largest difference of the file's sound from the network's; infinity for another length."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    inputs = list(network.inputs(frames, frames))
    with torch.no_grad():
        ours = network(*(value for _, value in inputs)).numpy()
    (theirs,) = session.run(None, {name: value.numpy() for name, value in inputs})
    return float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else float("inf")


# torch is not installed where types are checked.
class _Voice(torch.nn.Module):  # type: ignore[misc]
    """The network of the ONNX file. It draws the noise of frames without pitch itself."""

    def __init__(self, layout: VoiceLayout) -> None:
        super().__init__()
        self._layout = layout
        self.network = build_generator(layout)
        del self.network.enc_q
        for module in self.network.enc_p.modules():
            if isinstance(module, MultiHeadAttention):
                module.attention = MethodType(_attention, module)

    def fold(self) -> None:
        fold_weight_norms(self.network)
        if self._layout.has_pitch:
            take_excitation(self.network)
        self.eval()

    def inputs(self, frames: int, seed: int) -> Iterator[tuple[str, Any]]:
        """Yield the names of the file's inputs in their order, with random values."""
        draw = torch.Generator().manual_seed(seed)
        layout = self._layout
        yield "phone", torch.randn(1, frames, WIDTHS[layout.version], generator=draw)
        yield "phone_lengths", torch.tensor([frames])
        if layout.has_pitch:
            yield "pitch", torch.randint(1, 255, (1, frames), generator=draw)
            yield "pitchf", 100.0 + 100.0 * torch.rand(1, frames, generator=draw)
        yield "ds", torch.tensor([0])
        yield "rnd", torch.randn(1, layout.channels, frames, generator=draw)

    def forward(self, phone: Any, phone_lengths: Any, *rest: Any) -> Any:
        pitch, pitchf = (rest[0], rest[1]) if self._layout.has_pitch else (None, None)
        ds, rnd = rest[-2], rest[-1]
        speaker = self.network.emb_g(ds).unsqueeze(-1)
        mean, spread, mask = self.network.enc_p(phone, pitch, phone_lengths)
        hidden = (mean + torch.exp(spread) * rnd * _SPREAD) * mask
        hidden = self.network.flow(hidden, mask, g=speaker, reverse=True) * mask
        if pitchf is None:
            return self.network.dec(hidden, g=speaker)
        return self.network.dec(hidden, self._excitation(pitchf), g=speaker)

    def _excitation(self, hz: Any) -> Any:
        """Return the sine of a pitch, or noise without one."""
        hop = self._layout.hop
        turns = hz.double() / self._layout.rate_hz
        begins = turns.cumsum(1) * hop - turns * hop
        within = torch.arange(1, hop + 1, dtype=torch.float64)
        phase = begins[..., None] + turns[..., None] * within
        phase = (phase - torch.floor(phase)).float()
        voiced = (hz > 0)[..., None].float()
        noise = torch.randn_like(phase) * (1.0 - voiced) * (SINE / 3)
        return (torch.sin(phase * _TAU) * SINE * voiced + noise).reshape(1, -1, 1)


def _attention(self: Any, query: Any, key: Any, value: Any, mask: Any = None) -> tuple[Any, Any]:
    """RVC's attention, which also weighs near positions by their distance."""
    rows, width, length = query.shape
    heads, head = self.n_heads, self.k_channels
    query = query.view(rows, heads, head, length).transpose(2, 3) / head**0.5
    key = key.view(rows, heads, head, -1).transpose(2, 3)
    value = value.view(rows, heads, head, -1).transpose(2, 3)
    window, near = self.window_size, 2 * self.window_size + 1
    places = torch.arange(length, device=query.device)
    away = places[None, :] - places[:, None] + window
    is_near = ((away >= 0) & (away < near)).to(query.dtype)
    by_distance = query @ self.emb_rel_k.transpose(1, 2)[None]
    distance = away.clamp(0, near - 1).expand(rows, heads, length, length)
    scores = query @ key.transpose(2, 3) + by_distance.gather(3, distance) * is_near
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e4)
    weights = torch.softmax(scores, -1)
    others = places[:, None] + torch.arange(near, device=query.device)[None, :] - window
    is_there = ((others >= 0) & (others < length)).to(query.dtype)
    inside = torch.minimum(others.clamp(min=0), places[-1]).expand(rows, heads, length, near)
    of_near = weights.gather(3, inside) * is_there
    made = weights @ value + of_near @ self.emb_rel_v[None]
    return made.transpose(2, 3).reshape(rows, width, length), weights
