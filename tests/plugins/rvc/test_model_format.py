"""HuBERT in the forms that people have it in: what is taken of each, and what is refused. torch is away."""

import json
import math
import struct
from pathlib import Path

import pytest

from plugins.rvc.model_format import KERNELS, MODEL_FORMAT, read_hubert_sizes
from proxy.features.models.importing import choose_file
from speech_engine.model_files import FolderContents, UnusableModel, check_model
from speech_engine.model_files.safetensors import header_of
from tests.checkpoints import Called, Stored, archive
from tests.features.models.test_conversion import apart, converted

WEIGHTS = MODEL_FORMAT.files[0]
BLOCK_PARTS = {
    "self_attn.k_proj": "attention.k_proj",
    "self_attn.v_proj": "attention.v_proj",
    "self_attn.q_proj": "attention.q_proj",
    "self_attn.out_proj": "attention.out_proj",
    "self_attn_layer_norm": "layer_norm",
    "fc1": "feed_forward.intermediate_dense",
    "fc2": "feed_forward.output_dense",
    "final_layer_norm": "final_layer_norm",
}
CONVS, NORMED = "feature_extractor.conv_layers", ("bias", "weight_g", "weight_v")
NAMES = {
    **{f"{CONVS}.{layer}.0.weight": f"{CONVS}.{layer}.conv.weight" for layer in range(7)},
    **{f"encoder.pos_conv.0.{each}": f"encoder.pos_conv_embed.conv.{each}" for each in NORMED},
    **{
        f"{theirs}.{each}": f"{ours}.{each}"
        for theirs, ours in (
            (f"{CONVS}.0.2", f"{CONVS}.0.layer_norm"),
            ("post_extract_proj", "feature_projection.projection"),
            ("layer_norm", "feature_projection.layer_norm"),
            ("encoder.layer_norm", "encoder.layer_norm"),
            *(
                (f"encoder.layers.{layer}.{part}", f"encoder.layers.{layer}.{name}")
                for layer in range(12)
                for part, name in BLOCK_PARTS.items()
            ),
            ("final_proj", "final_proj"),
        )
        for each in ("weight", "bias")
    },
}
"""The names in fairseq's file, each with that of transformers."""

FAIRSEQ = {
    "args": None,
    "cfg": {
        "task": Called("argparse Namespace", (), {"labels": ["km"]}),
        "criterion": Called("omegaconf.dictconfig DictConfig", (), {"kind": Called("typing Any")}),
    },
    "criterion": Called("collections OrderedDict"),
    "task_state": {"dictionaries": [Called("fairseq.data.dictionary Dictionary", (), {"symbols": ["<s>"]})]},
    "optimizer_history": [{"criterion_name": "HubertCriterion", "num_updates": 400_000}],
}
"""What stands beside the tensors."""


def fairseq_file(path: Path, **more: object) -> Path:
    names = [*NAMES, "mask_emb", "label_embs_concat"]
    model = {name: Stored("0", "F16", 512, (1,), (1,), number) for number, name in enumerate(names)}
    storage = struct.pack("<512H", *range(512))
    return archive(path, {**FAIRSEQ, "model": model, **more}, {"0": storage})


def test_fairseqs_file_is_read_under_the_names_of_transformers(tmp_path: Path) -> None:
    found = apart(fairseq_file(tmp_path / "hubert_base.pt"), WEIGHTS)
    assert {name: tensor.data for name, tensor in found.items()} == {
        name: struct.pack("<H", number) for number, name in enumerate(NAMES.values())
    }


def test_what_is_no_class_of_fairseqs_stays_refused(tmp_path: Path) -> None:
    path = fairseq_file(tmp_path / "hubert_base.pt", cfg=Called("fairseqs.evil Run", ("id",)))
    with pytest.raises(UnusableModel, match=r"fairseqs\.evil"):
        converted(path, WEIGHTS)


def shapes(*, has_projection: bool) -> dict[str, tuple[int, ...]]:
    """The shapes of the published network, under the names of transformers."""
    found: dict[str, tuple[int, ...]] = {}
    for name in NAMES.values():
        if name.startswith("final_proj.") and not has_projection:
            continue
        found[name] = (768,)
    before = 1
    for layer, kernel in enumerate(KERNELS):
        found[f"feature_extractor.conv_layers.{layer}.conv.weight"] = (512, before, kernel)
        before = 512
    found["feature_projection.projection.weight"] = (768, 512)
    for layer in range(12):
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            found[f"encoder.layers.{layer}.attention.{part}.weight"] = (768, 768)
        found[f"encoder.layers.{layer}.feed_forward.intermediate_dense.weight"] = (3072, 768)
        found[f"encoder.layers.{layer}.feed_forward.output_dense.weight"] = (768, 3072)
    if has_projection:
        found["final_proj.weight"] = (256, 768)
    return found


def write(folder: Path, tensors: dict[str, tuple[int, ...]], config: dict[str, object] | None) -> None:
    head = header_of((name, "F32", shape) for name, shape in tensors.items())
    with (folder / "model.safetensors").open("wb") as file:
        file.write(head)
        # A hole in the file: its numbers are never read.
        file.truncate(len(head) + sum(4 * math.prod(shape) for shape in tensors.values()))
    if config is not None:
        (folder / "config.json").write_text(json.dumps(config))


def test_a_hubert_may_lack_its_configuration_and_the_projection(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    published = {"model_type": "hubert", "architectures": ["HubertModel"], "feat_extract_norm": "group"}
    for what, has_projection, config in (
        ("hubert_base.pt", True, None),
        ("facebook/hubert-base-ls960", False, {**published, "conv_bias": False, "num_hidden_layers": 12}),
        ("content-vec-best", True, {**published, "classifier_proj_size": 256}),
    ):
        with subtests.test(what):
            folder = tmp_path / what.replace("/", "-")
            folder.mkdir()
            write(folder, shapes(has_projection=has_projection), config)
            check_model(MODEL_FORMAT, folder)
            sizes = read_hubert_sizes(FolderContents(MODEL_FORMAT.files, folder))
            assert (sizes.layers, sizes.projected) == (12, 256 if has_projection else 0)


def test_another_network_without_a_configuration_is_refused_by_a_shape(tmp_path: Path) -> None:
    wrong = shapes(has_projection=True) | {"encoder.layers.3.attention.q_proj.weight": (1024, 1024)}
    write(tmp_path, wrong, None)
    with pytest.raises(UnusableModel, match=r"layers\.3\.attention\.q_proj\.weight has the shape"):
        check_model(MODEL_FORMAT, tmp_path)


def test_fairseqs_file_is_found_alone_in_its_folder() -> None:
    for names in (["hubert_base.pt", "rmvpe.pt"], ["checkpoint_best_legacy_500.pt"]):
        weights, config, *_ = (choose_file(Path("x"), names, file, "") for file in MODEL_FORMAT.files)
        assert (weights, config) == (names[0], None)
