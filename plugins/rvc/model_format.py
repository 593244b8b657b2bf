"""The files of an RVC model, which all voices share, and their check, which does not need torch."""

from __future__ import annotations

from typing import Any, NamedTuple

from speech_engine.model_files import ModelContents, ModelFacts, ModelFile, ModelFormat, UnusableModel
from speech_engine.trained_files import TrainedFormat

CONVOLUTIONS = 7
"""The layers that make a frame of 20 ms. Their strides are the same in every HuBERT."""
KERNELS = (10, 3, 3, 3, 3, 2, 2)
HIDDEN = 768
PROJECTED = 256
"""The widths of the features of voices of version 2 and of version 1."""
EXTRA_GB = 5.5
"""The memory beside the weights: a step's widest layer, waiting windows, 2 GB of voices, and a file."""

FAIRSEQ_NAMES = (
    (r"^feature_extractor\.conv_layers\.(\d+)\.0\.", r"feature_extractor.conv_layers.\1.conv."),
    (r"^feature_extractor\.conv_layers\.0\.2\.", "feature_extractor.conv_layers.0.layer_norm."),
    (r"^post_extract_proj\.", "feature_projection.projection."),
    (r"^layer_norm\.", "feature_projection.layer_norm."),
    (r"^encoder\.pos_conv\.0\.", "encoder.pos_conv_embed.conv."),
    (r"\.self_attn\.", ".attention."),
    (r"\.self_attn_layer_norm\.", ".layer_norm."),
    (r"\.fc1\.", ".feed_forward.intermediate_dense."),
    (r"\.fc2\.", ".feed_forward.output_dense."),
)
"""Patterns of the names in fairseq's file, hubert_base.pt, and their replacements for transformers."""


class HubertSizes(NamedTuple):
    """The sizes of HuBERT. `projected` is 0 without the projection that voices of version 1 need."""

    hidden: int
    layers: int
    heads: int
    inner: int
    conv_widths: tuple[int, ...]
    positions: int
    groups: int
    projected: int


def read_hubert_sizes(model: ModelContents) -> HubertSizes:
    """Return the sizes in the configuration, or the usual ones without it. Raise UnusableModel."""
    has_config = model.has("config")

    def value(name: str) -> Any:
        return model.value("config", name) if has_config else None

    def number(name: str, least: int, most: int, default: int) -> int:
        return default if value(name) is None else model.number("config", name, least, most)

    if has_config and value("model_type") != "hubert":
        raise UnusableModel("config.json: its model_type must be hubert")
    if value("feat_extract_norm") not in (None, "group"):
        raise UnusableModel("config.json: its feat_extract_norm must be group")
    for name in ("do_stable_layer_norm", "conv_bias"):
        if value(name) not in (None, False):
            raise UnusableModel(f"config.json: a HuBERT with {name} has another network")
    sizes = HubertSizes(
        hidden=number("hidden_size", HIDDEN, HIDDEN, HIDDEN),
        layers=number("num_hidden_layers", 1, 48, 12),
        heads=number("num_attention_heads", 1, 48, 12),
        inner=number("intermediate_size", 8, 8192, 3072),
        conv_widths=_conv_widths(value("conv_dim")),
        positions=number("num_conv_pos_embeddings", 2, 512, 128),
        groups=number("num_conv_pos_embedding_groups", 1, 128, 16),
        projected=PROJECTED if "final_proj.weight" in model.tensors("weights") else 0,
    )
    if sizes.hidden % sizes.heads or sizes.hidden % sizes.groups:
        raise UnusableModel("config.json: hidden_size cannot be divided by its heads and groups")
    return sizes


def _conv_widths(found: Any) -> tuple[int, ...]:
    if found is None:
        return (512,) * CONVOLUTIONS
    is_list = isinstance(found, list) and len(found) == CONVOLUTIONS
    if not is_list or not all(type(each) is int and 8 <= each <= 2048 for each in found):
        raise UnusableModel(f"config.json: conv_dim must have {CONVOLUTIONS} whole numbers from 8 to 2048")
    return tuple(found)


def check_rvc(model: ModelContents) -> ModelFacts:
    """Compare the tensors' shapes with the configuration. Raise UnusableModel."""
    sizes = read_hubert_sizes(model)
    hidden = sizes.hidden
    before = 1
    for layer, (width, kernel) in enumerate(zip(sizes.conv_widths, KERNELS, strict=True)):
        name = f"feature_extractor.conv_layers.{layer}.conv.weight"
        model.expect("weights", name, (width, before, kernel))
        before = width
    for layer in range(sizes.layers):
        block = f"encoder.layers.{layer}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            model.expect("weights", f"{block}attention.{part}.weight", (hidden, hidden))
        model.expect("weights", f"{block}feed_forward.intermediate_dense.weight", (sizes.inner, hidden))
    if f"encoder.layers.{sizes.layers}.final_layer_norm.weight" in model.tensors("weights"):
        raise UnusableModel(
            f"config.json: num_hidden_layers is {sizes.layers}, but model.safetensors has more"
        )
    model.expect("weights", "feature_projection.projection.weight", (hidden, before))
    if sizes.projected:
        model.expect("weights", "final_proj.weight", (sizes.projected, hidden))
    return ModelFacts(extra_gb=EXTRA_GB)


def _pretrained(kind: str, letter: str, rate: str) -> ModelFile:
    return ModelFile(
        role=f"{kind}_{rate}",
        kind="tensors",
        name=f"{kind}_{rate}.safetensors",
        sources=(f"f0{letter}{rate}.pth",),
        roots=("model", ""),
        is_optional=True,
        most_bytes=1024**3,
    )


TRAINED_FORMAT = TrainedFormat(
    name="rvc",
    module="plugins.rvc.voice_format",
    sources=(
        ModelFile(
            role="model",
            kind="tensors",
            name="model.pth",
            roots=("weight", ""),
            # Only training needs these.
            ignore=("enc_q.",),
            values=("config", "sr", "f0", "version"),
            most_bytes=200 * 1024**2,
        ),
        # Two hundred thousand features, as wide as they can be: an hour or two of recordings.
        ModelFile(role="index", kind="bytes", name="voice.index", is_optional=True, most_bytes=640 * 1024**2),
    ),
    exports=("pth", "index"),
)

MODEL_FORMAT = ModelFormat(
    files=(
        ModelFile(
            role="weights",
            kind="tensors",
            name="model.safetensors",
            sources=(
                "model.safetensors",
                "pytorch_model.bin",
                "hubert_base.pt",
                "checkpoint_best_legacy_500.pt",
            ),
            roots=("model", ""),
            strip=("hubert.",),
            # Only its first training needed these.
            ignore=("masked_spec_embed", "label_embs_concat", "mask_emb"),
            renames=FAIRSEQ_NAMES,
            # Types of fairseq's settings beside the tensors.
            stand_ins=("fairseq.*", "omegaconf.*", "typing.Any"),
            most_bytes=4 * 1024**3,
        ),
        ModelFile(role="config", kind="json", name="config.json", is_optional=True),
        ModelFile(
            role="rmvpe",
            kind="tensors",
            name="rmvpe.safetensors",
            sources=("rmvpe.safetensors", "rmvpe.pt"),
            roots=("model", ""),
            is_optional=True,
            most_bytes=1024**3,
        ),
        *(_pretrained("generator", "G", rate) for rate in ("32k", "40k", "48k")),
        *(_pretrained("discriminator", "D", rate) for rate in ("32k", "40k", "48k")),
    ),
    check=check_rvc,
)
