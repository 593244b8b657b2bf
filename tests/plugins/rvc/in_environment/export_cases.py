"""Voices as they leave, read by torch as RVC-WebUI reads them, and brought again."""

from io import BytesIO

import pytest

from plugins.rvc.voice_format import FILES
from plugins.rvc.voice_rules import VoiceConfig
from speech_engine.model_files.safetensors import read_tensors_and_texts
from tests.plugins.rvc.tiny import LAYOUTS, voice_file

# isort: split
import torch
from safetensors.torch import load


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_torch_reads_what_leaves_and_it_is_the_voice(number: int) -> None:
    of = LAYOUTS[number]
    kept = voice_file(of, number, vectors=20)
    made = BytesIO()
    FILES.export(BytesIO(kept), len(kept), "pth", made)
    saved = torch.load(BytesIO(made.getvalue()), weights_only=True)
    assert len(saved["config"]) == len(VoiceConfig._fields)
    assert saved["sr"] == f"{of.rate_hz // 1000}k"
    assert (saved["version"], saved["f0"]) == (of.version, int(of.has_pitch))
    tensors = load(kept)
    del tensors["index.vectors"]
    assert saved["weight"].keys() == tensors.keys()
    assert all(torch.equal(saved["weight"][name], tensor) for name, tensor in tensors.items())


def test_the_index_that_leaves_has_all_features() -> None:
    kept = voice_file(LAYOUTS[2], 2, vectors=20)
    made = BytesIO()
    FILES.export(BytesIO(kept), len(kept), "index", made)
    (vectors,) = (load(kept)["index.vectors"],)
    width = vectors.shape[1]
    found = torch.frombuffer(bytearray(made.getvalue()[-20 * width * 4 :]), dtype=torch.float32)
    assert torch.equal(found.reshape(20, width).half(), vectors)
    assert "index.vectors" in read_tensors_and_texts(BytesIO(kept), len(kept))[0]
