"""A process that loads networks as a host does, one after the other, and runs each once at a speed."""

import sys
from pathlib import Path

import numpy as np

from speech_engine import EngineFailed
from speech_engine.host.onnx_network import OnnxNetwork, StopSwitch


def main(speed: str, *files: str) -> None:
    values = {
        "tokens": np.array([[0, 1, 2, 3, 4, 5, 0]], np.int64),
        "style": np.zeros((1, 256), np.float32),
        "speed": np.array([float(speed)], np.float32),
    }
    for file in map(Path, files):
        try:
            (sound,) = OnnxNetwork(file).run(["audio"], values, StopSwitch())
        except EngineFailed:
            print(f"{file.stem}: refused")
        else:
            print(f"{file.stem}: {sound.size} samples")


if __name__ == "__main__":
    main(*sys.argv[1:])
