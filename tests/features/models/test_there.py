"""What counts as pulled: the gallery's files under the gallery's licences, and nothing that was put there."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from proxy.engines.engine_models import StoredModel
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.import_order import ImportOrder
from proxy.features.models.importing import import_model
from proxy.features.models.listing import GalleryModel
from proxy.features.models.pulling import PullOrder, is_pulled
from proxy.hosts.stored_models import ModelRefused, ModelStore
from tests.features.models.hub import Hub, Manner
from tests.features.models.pulls import only_model, pulled, refusal
from tests.features.models.toys import CONFIG, FORMAT, QUICK, WEIGHTS, at, listed

BANNED = {"licence": "CC0-1.0", "basis": "Blizzard-2013"}
ACCEPTED = PullOrder(accepted=("Blizzard-2013",), hub_patience=QUICK)


def _toy(hub: Hub, **more: Any) -> GalleryModel:
    return listed(
        at("weights.bin", WEIGHTS, hub.put("/weights.bin", WEIGHTS)),
        at("config.json", CONFIG, hub.put("/config.json", CONFIG)),
        **more,
    )


def _import_by_hand(data: Path, weights: bytes, licence: str) -> None:
    source, store = data / "by-hand", ModelStore(data)
    source.mkdir()
    (source / "weights.bin").write_bytes(weights)
    (source / "config.json").write_bytes(CONFIG)
    with hold_change_lock(store, lambda: None):
        order = ImportOrder(source=source, engine="chirp", name="toy", licence=licence)
        import_model(store, FORMAT, order, lambda _what, _done, _of: None)


def test_a_looser_licence_by_hand_is_not_kept(tmp_path: Path, hub: Hub) -> None:
    toy = _toy(hub, **BANNED)
    _import_by_hand(tmp_path, WEIGHTS, "CC0-1.0")
    assert not is_pulled(ModelStore(tmp_path), toy)
    with pytest.raises(ModelRefused, match="add --change-licence if Blizzard-2013 is right"):
        pulled(tmp_path, toy, ACCEPTED)
    assert hub.asked == []
    made = pulled(tmp_path, toy, ACCEPTED._replace(changes_licence=True))
    assert made.manifest.bound_by == "Blizzard-2013"
    assert only_model(tmp_path).manifest == made.manifest
    assert is_pulled(ModelStore(tmp_path), toy)


def test_another_model_of_its_name_is_not_the_gallerys(tmp_path: Path, hub: Hub) -> None:
    toy = _toy(hub)
    _import_by_hand(tmp_path, WEIGHTS[::-1], "Apache-2.0")
    assert not is_pulled(ModelStore(tmp_path), toy)
    assert pulled(tmp_path, toy).is_new
    found = ModelStore(tmp_path).stored_model("toy")
    assert found is not None
    assert (found.folder / "weights.bin").read_bytes() == WEIGHTS


def test_the_gallerys_own_files_by_hand_are_as_good(tmp_path: Path, hub: Hub) -> None:
    _import_by_hand(tmp_path, WEIGHTS, "Apache-2.0")
    toy = _toy(hub)
    assert is_pulled(ModelStore(tmp_path), toy)
    assert not pulled(tmp_path, toy).is_new
    assert hub.asked == []


@pytest.mark.parametrize(
    "more",
    [{"basis": "MIT"}, {"attribution": "The birds"}, {"genders": {"": "male"}}],
    ids=lambda it: str(it),
)
def test_a_correction_of_the_gallery_reaches_the_store(
    tmp_path: Path, hub: Hub, more: dict[str, object]
) -> None:
    pulled(tmp_path, _toy(hub))
    made = pulled(tmp_path, _toy(hub, **more))
    assert {name: getattr(made.manifest, name) for name in more} == more
    assert only_model(tmp_path).manifest == made.manifest
    asked = len(hub.asked)
    assert not pulled(tmp_path, _toy(hub, **more)).is_new
    assert len(hub.asked) == asked


def test_an_older_revision_is_not_gone_on_with(tmp_path: Path, hub: Hub) -> None:
    config = at("config.json", CONFIG, hub.put("/config.json", CONFIG, Manner(status=404)))
    old = at("weights.bin", WEIGHTS, hub.put("/old/weights.bin", WEIGHTS[::-1]), is_told=False)
    refusal(tmp_path, listed(old, config))
    assert (tmp_path / "models" / ".pull-toy" / "files" / "weights.bin").is_file()
    hub.put("/config.json", CONFIG)
    new = at("weights.bin", WEIGHTS, hub.put("/new/weights.bin", WEIGHTS), is_told=False)
    pulled(tmp_path, listed(new, config))
    only_model(tmp_path)


@contextmanager
def _precious(folder: Path) -> Iterator[Path]:
    """A folder with a file that nobody may touch."""
    folder.mkdir()
    (folder / "precious").write_bytes(b"precious")
    yield folder
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("precious", b"precious")]


@pytest.mark.parametrize("name", ["", "files", "parts", "packages"])
def test_a_folder_that_is_a_link_is_refused(tmp_path: Path, hub: Hub, name: str) -> None:
    place = tmp_path / "models" / ".pull-toy" / name
    with _precious(tmp_path / "elsewhere") as precious:
        place.parent.mkdir(parents=True)
        place.symlink_to(precious)
        assert "it is no folder, so nothing is written there" in refusal(tmp_path, _toy(hub))
    assert hub.asked == []


@pytest.mark.parametrize("name", ["weights.bin.part", "weights.bin.told"])
@pytest.mark.parametrize("how", ["hub", "folder"])
def test_no_link_in_it_is_written_through(tmp_path: Path, hub: Hub, name: str, how: str) -> None:
    parts, mine, toy = tmp_path / "models" / ".pull-toy" / "parts", tmp_path / "mine", _toy(hub)
    mine.mkdir()
    (mine / "weights.bin").write_bytes(WEIGHTS)
    (mine / "config.json").write_bytes(CONFIG)
    with _precious(tmp_path / "elsewhere") as precious:
        parts.mkdir(parents=True)
        (parts / name).symlink_to(precious / "precious")
        order = PullOrder(source=str(mine) if how == "folder" else "", hub_patience=QUICK)
        if (name, how) == ("weights.bin.part", "hub"):
            assert "symbolic links" in refusal(tmp_path, toy, order)
            return
        pulled(tmp_path, toy, order)
    only_model(tmp_path)


def test_a_file_that_is_a_link_is_fetched_anew(tmp_path: Path, hub: Hub) -> None:
    files = tmp_path / "models" / ".pull-toy" / "files"
    files.mkdir(parents=True)
    (tmp_path / "mine").write_bytes(WEIGHTS)
    (files / "weights.bin").symlink_to(tmp_path / "mine")
    pulled(tmp_path, _toy(hub))
    assert len(hub.asked_for("/weights.bin")) == 1
    assert isinstance(only_model(tmp_path), StoredModel)
