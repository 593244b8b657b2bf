"""The front of the XTTS engine: its settings, and where its worker runs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from plugins.xtts.model_format import MODEL_FORMAT
from speech_engine.host.batch_model import TorchSettings
from speech_engine.plugin import Hosted, Plugin, missing_model

Precision = Literal["float32", "bfloat16", "float16"]


class XttsSettings(TorchSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Below float32 `precision`, the sound of a text depends a little on the texts of the same batch."""

    precision: Precision = "float32"


HOSTED = Hosted(
    module="plugins.xtts.worker",
    packages=(
        "torch==2.13.0",
        "numpy>=2,<3",
        "scipy>=1.17,<2",
        "safetensors>=0.8,<1",
        "transformers==5.23.0",
        "einops>=0.8,<1",
        "fsspec",
        "psutil>=7",
        "six>=1.17",
        "regex",
    ),
    # coqui-tts requires three times as many packages, for training and other models. torchaudio would install
    # another torch.
    bare=(
        "coqui-tts==0.28.0",
        "coqui-tts-trainer==0.4.0",
        "coqpit-config==0.2.5",
        "torchaudio==2.11.0",
        "librosa==0.11.0",
        "lazy-loader==0.6",
        "ko-speech-tools==0.1.0",
        "num2words==0.5.14",
        "docopt==0.6.2",
        "anyascii==0.3.3",
        "inflect==7.6.0",
        "more-itertools==11.2.1",
        "typeguard==4.6.0",
        "monotonic-alignment-search==0.2.1",
        "pypinyin==0.55.0",
        "pysbd==0.3.4",
        "soundfile==0.14.0",
        "cffi==2.1.1",
        "pycparser==3.12",
        "soxr==1.1.0",
    ),
    constraints="constraints.txt",
    devices=("cpu", "cuda", "rocm"),
)


missing = missing_model(
    'voxgate models pull xtts-v2, then model = "xtts-v2"; or models import for files of yours'
)


def voxgate_register() -> tuple[Plugin[XttsSettings], ...]:
    return (
        Plugin(
            kind="engine",
            name="xtts",
            settings=XttsSettings,
            create=HOSTED,
            missing=missing,
            model_format=MODEL_FORMAT,
            gallery=str(Path(__file__).with_name("gallery.toml")),
        ),
    )
