"""Pulls of the toy model in the test's process, and what must be true after each."""

from pathlib import Path

import pytest

from proxy.engines.engine_models import StoredModel
from proxy.features.models.changes import hold_change_lock
from proxy.features.models.importing import Imported
from proxy.features.models.listing import GalleryModel
from proxy.features.models.pulling import PullOrder, pull
from proxy.hosts.stored_models import ModelRefused, ModelStore
from tests.features.models.toys import CONFIG, QUICK, WEIGHTS


def pulled(data: Path, what: GalleryModel, order: PullOrder | None = None) -> Imported:
    store = ModelStore(data)
    with hold_change_lock(store, lambda: None):
        return pull(store, what, order or PullOrder(hub_patience=QUICK), lambda _what, _done, _of: None)


def refusal(data: Path, what: GalleryModel, order: PullOrder | None = None) -> str:
    """What a pull says when it cannot. Nothing is half there then."""
    with pytest.raises(ModelRefused) as caught:
        pulled(data, what, order)
    assert list(ModelStore(data).every()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


def only_model(data: Path) -> StoredModel:
    """The one model that there is. It is whole, and nothing of the pull is left."""
    (model,) = ModelStore(data).every()
    assert isinstance(model, StoredModel)
    assert (model.folder / "weights.bin").read_bytes() == WEIGHTS
    assert (model.folder / "config.json").read_bytes() == CONFIG
    assert not list((data / "models").glob(".pull-*"))
    assert not list((data / "models").glob(".import-*"))
    return model
