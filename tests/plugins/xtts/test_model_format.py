"""What is refused of a model's files by their sizes alone. The files have no numbers, and torch is away."""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from plugins.xtts import plugin as xtts
from plugins.xtts.model_format import MODEL_FORMAT, studio_voices
from plugins.xtts.plugin import XttsSettings, missing
from proxy.features.models.entries import read_gallery
from proxy.features.models.importing import choose_file
from speech_engine.model_files import FolderContents, ModelFacts, UnusableModel, check_model
from speech_engine.model_files.safetensors import header_of
from tests.checkpoints import Stored, archive
from tests.features.models.test_conversion import converted
from tests.tables import each_row

LAYERS, DIM, CODES, MOST_CODES, MOST_TEXT = 2, 64, 66, 120, 202
VOCODER, ENCODER = "hifigan_decoder.waveform_decoder.", "hifigan_decoder.speaker_encoder."
NORMED = "parametrizations.weight.original1"
SPECIAL = ("[STOP]", "[UNK]", "[SPACE]", "[en]", "[zh-cn]", "[START]")
TOKENS = {token: number for number, token in enumerate((*SPECIAL, *"abc"))}

Shapes = dict[str, tuple[int, ...]]


def _arguments() -> dict[str, Any]:
    return {
        "gpt_layers": LAYERS,
        "gpt_n_model_channels": DIM,
        "gpt_n_heads": 2,
        "gpt_max_audio_tokens": MOST_CODES,
        "gpt_max_text_tokens": MOST_TEXT,
        "gpt_max_prompt_tokens": 70,
        "gpt_num_audio_tokens": CODES,
        "gpt_start_audio_token": CODES - 2,
        "gpt_stop_audio_token": CODES - 1,
        "gpt_code_stride_len": 1024,
        "gpt_use_perceiver_resampler": True,
        "input_sample_rate": 22_050,
        "output_sample_rate": 24_000,
        "output_hop_length": 256,
        "d_vector_dim": 512,
    }


def _language_model(tokens: int) -> Shapes:
    return {
        "gpt.text_embedding.weight": (tokens, DIM),
        "gpt.text_head.weight": (tokens, DIM),
        "gpt.mel_embedding.weight": (CODES, DIM),
        "gpt.mel_head.weight": (CODES, DIM),
        "gpt.mel_pos_embedding.emb.weight": (MOST_CODES + 3, DIM),
        "gpt.text_pos_embedding.emb.weight": (MOST_TEXT + 2, DIM),
        "gpt.conditioning_perceiver.latents": (32, DIM),
        "gpt.final_norm.weight": (DIM,),
        "gpt.conditioning_encoder.init.weight": (DIM, 80, 1),
        **{f"gpt.conditioning_encoder.attn.{layer}.qkv.weight": (3 * DIM, DIM, 1) for layer in range(6)},
        **{f"gpt.gpt.h.{layer}.attn.c_attn.weight": (DIM, 3 * DIM) for layer in range(LAYERS)},
        **{f"gpt.gpt.h.{layer}.mlp.c_fc.weight": (DIM, 4 * DIM) for layer in range(LAYERS)},
        "mel_stats": (80,),
    }


def _vocoder(kernel: int) -> Shapes:
    shapes: Shapes = {
        f"{VOCODER}conv_pre.weight": (32, DIM, 7),
        f"{VOCODER}cond_layer.weight": (32, 512, 1),
    }
    for layer, upsampling in enumerate((16, 16, 4, 4)):
        outer, inner = 32 >> layer, 32 >> layer + 1
        shapes[f"{VOCODER}ups.{layer}.{NORMED}"] = (outer, inner, upsampling)
        for part in ("convs1.0", "convs1.1", "convs1.2", "convs2.0", "convs2.1", "convs2.2"):
            shapes[f"{VOCODER}resblocks.{layer}.{part}.{NORMED}"] = (inner, inner, kernel)
    return shapes


def _encoder() -> Shapes:
    shapes: Shapes = {f"{ENCODER}conv1.weight": (8, 1, 3, 3), f"{ENCODER}fc.weight": (512, 256)}
    before = 8
    for stage, (blocks, width) in enumerate(((1, 8), (1, 8), (1, 8), (2, 16)), 1):
        for block in range(blocks):
            shapes[f"{ENCODER}layer{stage}.{block}.conv1.weight"] = (width, before, 3, 3)
            shapes[f"{ENCODER}layer{stage}.{block}.conv2.weight"] = (width, width, 3, 3)
            before = width
    return shapes


class Model:
    """The files of a small model that is right, until a test changes one."""

    def __init__(self, folder: Path, *, tokens: Mapping[str, int] = TOKENS, kernel: int = 3) -> None:
        self.folder = folder
        self.arguments = _arguments()
        self.languages = ["en", "zh-cn"]
        self.vocabulary: Any = {
            "added_tokens": [{"id": tokens[each], "content": each} for each in SPECIAL],
            "pre_tokenizer": {"type": "Whitespace"},
            "model": {"type": "BPE", "vocab": dict(tokens), "merges": []},
        }
        self.speakers: Shapes = {}
        self.shapes = {**_language_model(max(tokens.values()) + 1), **_vocoder(kernel), **_encoder()}

    def write(self) -> None:
        config = {"languages": self.languages, "model_args": self.arguments}
        (self.folder / "config.json").write_text(json.dumps(config))
        (self.folder / "vocab.json").write_text(json.dumps(self.vocabulary))
        for name, shapes in {"model": self.shapes, "speakers": self.speakers}.items():
            if not shapes:
                continue
            head = header_of((name, "F32", shape) for name, shape in shapes.items())
            with (self.folder / f"{name}.safetensors").open("wb") as file:
                file.write(head)
                # A hole in the file: its numbers are never read.
                file.truncate(len(head) + sum(4 * math.prod(shape) for shape in shapes.values()))

    def facts(self) -> ModelFacts:
        self.write()
        return check_model(MODEL_FORMAT, self.folder)

    def refusal(self) -> str:
        with pytest.raises(UnusableModel) as refused:
            self.facts()
        return str(refused.value)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return Model(tmp_path)


def test_a_whole_model_has_its_languages_and_the_memory_that_a_batch_takes(model: Model) -> None:
    facts = model.facts()
    assert facts.languages == ("en", "zh")
    # For 32 rows of 1024 positions: a key and a value in each layer, four bytes each number.
    assert facts.extra_gb == pytest.approx(0.5 + 32 * 1024 * 2 * LAYERS * DIM * 4 / 1e9)


def _studio(*names: str) -> Shapes:
    parts = {"gpt_cond_latent": (1, 32, DIM), "speaker_embedding": (1, 512, 1)}
    return {f"{name}.{part}": shape for name in names for part, shape in parts.items()}


def test_the_speakers_of_a_model_are_voices_by_their_names(model: Model, subtests: pytest.Subtests) -> None:
    model.speakers = _studio("Ana Florence", "Camilla Holmström", "Eugenio Mataracı")
    model.facts()
    assert studio_voices(FolderContents(MODEL_FORMAT.files, model.folder), DIM) == {
        "ana-florence": "Ana Florence",
        "camilla-holmstrom": "Camilla Holmström",
        "eugenio-mataraci": "Eugenio Mataracı",
    }
    for part, shape, says in (
        ("gpt_cond_latent", (1, 32, 2 * DIM), "Ana Florence.gpt_cond_latent has the shape"),
        ("speaker_embedding", (1, 256, 1), "Ana Florence.speaker_embedding has the shape"),
    ):
        with subtests.test(part):
            model.speakers = _studio("Ana Florence") | {f"Ana Florence.{part}": shape}
            assert says in model.refusal()
    model.speakers = {"Ana Florence.gpt_cond_latent": (1, 32, DIM)}
    assert "no tensor Ana Florence.speaker_embedding" in model.refusal()


def test_the_file_with_the_speakers_is_read_as_coqui_published_it(tmp_path: Path) -> None:
    (speakers,) = (file for file in MODEL_FORMAT.files if file.role == "speakers")
    assert choose_file(tmp_path, ["model.pth", "speakers_xtts.pth"], speakers, "") == "speakers_xtts.pth"
    one = Stored("0", "F32", 1, (1, 1, 1), (1, 1, 1))
    saved = {"Ana Florence": {"gpt_cond_latent": one, "speaker_embedding": one}}
    path = archive(tmp_path / "speakers_xtts.pth", saved, {"0": struct.pack("<f", 1)})
    assert set(converted(path, speakers)) == set(_studio("Ana Florence"))


def test_the_gallerys_genders_are_of_its_speakers() -> None:
    entry = read_gallery(Path(xtts.__file__).with_name("gallery.toml"))["xtts-v2"]
    assert len(entry.genders) == 58
    assert {"ana-florence", "eugenio-mataraci", "alma-maria"} <= entry.genders.keys()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("gpt_layers", 10**9, "gpt_layers"),
        ("gpt_layers", 1, "has more"),
        ("gpt_layers", 3, "no tensor gpt.gpt.h.2"),
        ("gpt_n_model_channels", -64, "gpt_n_model_channels"),
        ("gpt_n_model_channels", 128, "has the shape"),
        ("gpt_n_heads", 3, "divided"),
        ("gpt_n_heads", "2", "gpt_n_heads"),
        ("gpt_max_audio_tokens", 10**7, "gpt_max_audio_tokens"),
        ("gpt_max_audio_tokens", 1e400, "gpt_max_audio_tokens"),
        ("gpt_stop_audio_token", 66, "gpt_stop_audio_token"),
        ("output_sample_rate", 48_000, "output_sample_rate"),
        ("d_vector_dim", 256, "d_vector_dim"),
        ("gpt_use_perceiver_resampler", False, "version 1"),
        ("gpt_use_perceiver_resampler", None, "version 1"),
    ],
)
def test_an_absurd_configuration_is_refused(model: Model, name: str, value: object, says: str) -> None:
    model.arguments[name] = value
    assert says in model.refusal()


def _processor(number: int) -> dict[str, Any]:
    """A part of a vocabulary that puts a token of this number before every text."""
    tokens = {"[X]": {"id": "[X]", "ids": [number], "tokens": ["[X]"]}}
    return {"type": "TemplateProcessing", "special_tokens": tokens}


SPLIT = {"type": "Split", "pattern": {"Regex": "(a+)+$x"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("part", "value", "says"),
    [
        (
            "post_processor",
            _processor(999_999),
            "its post_processor must not be there; it is 'TemplateProcessing'",
        ),
        ("pre_tokenizer", SPLIT, "its pre_tokenizer must be Whitespace or"),
        ("pre_tokenizer", {"type": "Sequence", "pretokenizers": [SPLIT]}, "it is 'Split'"),
        ("pre_tokenizer", "Split", "it is 'Split'"),
        (
            "normalizer",
            {"type": "Replace", "pattern": {"Regex": "(a|a)+b"}, "content": ""},
            "it is 'Replace'",
        ),
        ("normalizer", {"type": "Sequence", "normalizers": [7]}, "it is '7'"),
        ("padding", {"strategy": {"Fixed": 10**9}, "pad_id": 0}, "its padding must not be there"),
        ("truncation", {"max_length": 3}, "its truncation must not"),
    ],
)
def test_a_vocabulary_that_does_other_things_with_a_text_is_refused(
    model: Model, part: str, value: object, says: str
) -> None:
    model.vocabulary[part] = value
    assert says in model.refusal()


def test_a_vocabulary_may_clean_and_split_a_text_in_several_steps(model: Model) -> None:
    model.vocabulary["normalizer"] = {
        "type": "Sequence",
        "normalizers": [{"type": "NFKC"}, {"type": "Lowercase"}],
    }
    model.vocabulary["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [{"type": "Digits"}]}
    assert model.facts().languages == ("en", "zh")


@pytest.mark.parametrize("change", [{"type": "WordPiece"}, {"dropout": 0.5}])
def test_a_vocabulary_of_another_kind_is_refused(model: Model, change: dict[str, object]) -> None:
    model.vocabulary["model"] |= change
    assert "its model must be BPE, without dropout" in model.refusal()


@pytest.mark.parametrize(
    "vocabulary",
    [
        [],
        {"model": 3},
        {"model": {"vocab": {}}},
        *({"model": {"vocab": {"a": number}}} for number in (-1, 1 << 20, "1", 1.5, True, None)),
    ],
)
def test_a_vocabulary_that_is_none_is_refused(model: Model, vocabulary: object) -> None:
    model.vocabulary = vocabulary
    assert "it is not a vocabulary" in (said := model.refusal()) or "make no sense" in said


@each_row("token", ["[START]", "[STOP]", "[SPACE]"])
def test_a_vocabulary_without_a_mark_that_the_model_needs_is_refused(tmp_path: Path, token: str) -> None:
    model = Model(tmp_path)
    del model.vocabulary["model"]["vocab"][token]
    model.vocabulary["added_tokens"] = []
    assert f"it has no token {token}" in model.refusal()


def test_a_vocabulary_may_leave_numbers_out(tmp_path: Path) -> None:
    assert Model(tmp_path, tokens={**TOKENS, "z": 40}).facts().languages == ("en", "zh")


@pytest.mark.parametrize(
    ("name", "shape", "says"),
    [
        # Without numbers, so a small file could ask for any amount of memory.
        (f"{ENCODER}layer1.0.conv1.weight", (60_000, 0, 3, 3), "layer1.0.conv1.weight is empty"),
        (f"{VOCODER}resblocks.0.convs1.0.{NORMED}", (0, 1, 2**40), f"convs1.0.{NORMED} is empty"),
        # Widths that a network has squared.
        (f"{VOCODER}conv_pre.weight", (4096, 64, 7), "conv_pre.weight has channels: 4096; 16 to 2048"),
        (f"{VOCODER}conv_pre.weight", (64, 64, 7), "cond_layer.weight has the shape"),
        (f"{VOCODER}ups.1.{NORMED}", (16, 9, 16), f"ups.1.{NORMED} has the shape"),
        (f"{VOCODER}resblocks.0.convs1.0.{NORMED}", (16, 16, 33), "resblocks.0. has numbers: 33; 1 to 31"),
        (f"{VOCODER}resblocks.3.convs2.2.{NORMED}", (2, 2, 5), f"convs2.2.{NORMED} has the shape"),
        (f"{VOCODER}resblocks.999.x", (1,), "its vocoder has kernels: 250; 1 to 8"),
        (f"{VOCODER}resblocks.4.x", (1,), "its vocoder has kernels: 0; 1 to 8"),
        (f"{ENCODER}layer2.0.conv1.weight", (1025, 8, 3, 3), "has filters: 1025; 1 to 1024"),
        (f"{ENCODER}layer4.999.x", (1,), "layer4. has blocks: 1000; 1 to 32"),
        (f"{ENCODER}layer4.2.x", (1,), "no tensor hifigan_decoder.speaker_encoder.layer4.2.conv1"),
        (f"{ENCODER}fc.weight", (512, 128), "fc.weight has the shape"),
        ("gpt.gpt.h.1.mlp.c_fc.weight", (64, 1), "c_fc.weight has the shape"),
        ("mel_stats", (64,), "mel_stats has the shape"),
    ],
)
def test_shapes_that_would_take_absurd_memory_are_refused(
    model: Model, name: str, shape: tuple[int, ...], says: str
) -> None:
    model.shapes[name] = shape
    assert says in model.refusal()


def test_the_largest_kernel_that_makes_sense_is_taken(tmp_path: Path) -> None:
    assert Model(tmp_path, kernel=31).facts().languages == ("en", "zh")


def test_a_part_with_an_endless_number_is_none_of_the_network(model: Model) -> None:
    model.shapes[f"{ENCODER}layer4.{'9' * 300}.x"] = (1,)
    assert model.facts().languages == ("en", "zh")


@each_row("tokens", [{}, {"[th]": 9}, {"ก": 9}])
def test_a_language_that_the_vocabulary_cannot_write_is_not_offered(
    tmp_path: Path, tokens: dict[str, int]
) -> None:
    model = Model(tmp_path, tokens=TOKENS | tokens)
    model.languages = ["th", "en"]
    assert model.facts().languages == ("en",)
    model.languages = ["th", "yo"]
    assert "knows none of the languages" in model.refusal()


def test_a_language_with_its_mark_and_its_letters_is_offered(tmp_path: Path) -> None:
    model = Model(tmp_path, tokens={**TOKENS, "[th]": 9, "ก": 10})
    model.languages = ["th", "en"]
    assert model.facts().languages == ("th", "en")


@pytest.mark.parametrize("name", ["config.json", "vocab.json", "model.safetensors"])
def test_a_missing_file_is_named(model: Model, name: str) -> None:
    model.write()
    (model.folder / name).unlink()
    with pytest.raises(UnusableModel, match=name):
        check_model(MODEL_FORMAT, model.folder)


def test_of_a_training_checkpoint_only_what_speaks_is_taken(tmp_path: Path) -> None:
    (weights,) = (file for file in MODEL_FORMAT.files if file.role == "weights")
    one = Stored("0", "F32", 1, (1,), (1,))
    training = (
        "dvae.codebook",
        "torch_mel_spectrogram_dvae.mel_stats",
        "gpt.gpt_inference.x",
        "gpt.gpt.wte.weight",
    )
    tensors = dict.fromkeys(("xtts.gpt.final_norm.weight", *(f"xtts.{name}" for name in training)), one)
    path = archive(tmp_path / "model.pth", {"model": tensors, "step": 1}, {"0": struct.pack("<f", 1)})
    assert list(converted(path, weights)) == ["gpt.final_norm.weight"]


def test_an_engine_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    assert "voxgate models pull xtts-v2" in missing(XttsSettings())[0].do
    assert missing(XttsSettings(model_path=str(tmp_path))) == ()
