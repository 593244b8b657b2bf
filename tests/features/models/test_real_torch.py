"""A checkpoint that the real torch wrote: its tensors are read as torch itself reads them."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.features.models.test_conversion import apart
from tests.plugins.resemblyzer.environment import interpreter

pytestmark = pytest.mark.slow

_SAVE = """
import collections, json, sys
import torch
torch.manual_seed(1)
shared = torch.randn(6, 4)
made = collections.OrderedDict(
    plain=torch.nn.Linear(3, 5).weight,
    turned=shared.t(),
    part=shared[2:5, 1:3],
    whole=shared,
    half=torch.randn(7).half(),
    brain=torch.randn(2, 2, 2).bfloat16(),
    long=torch.arange(5),
    truth=torch.tensor([True, False]),
    single=torch.tensor(3.5),
    empty=torch.zeros(0, 4),
    hollow=torch.as_strided(torch.zeros(1000).double(), (0, 5), (100, 2)),
)
torch.save({"model": made, "config": {"lr": 0.1, "size": torch.Size([1, 2])}}, sys.argv[1])
shown = {}
for name, tensor in made.items():
    raw = tensor.detach().contiguous().reshape(-1)
    shown[name] = [list(tensor.shape), bytes(raw.view(torch.uint8).tolist()).hex() if raw.numel() else ""]
print(json.dumps(shown))
"""


def test_what_torch_saved_is_read_as_torch_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    saved = subprocess.run(
        [interpreter(), "-I", "-c", _SAVE, str(path)], capture_output=True, text=True, check=True, timeout=120
    )
    wanted = json.loads(saved.stdout)
    found = {name: [list(tensor.shape), tensor.data.hex()] for name, tensor in apart(path).items()}
    assert found == wanted
