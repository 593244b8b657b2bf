"""The keys of marks over revisions: an answer ends with the key with which it began."""

from base64 import b64encode
from pathlib import Path

import pytest

from proxy.config.sections import Config
from proxy.engines.registry import Registry
from proxy.feature_list import open_store
from proxy.features.marks.marker import open_marker
from proxy.features.marks.rules import MarkUse
from proxy.features.marks.section import MarkingSection
from speech_engine import EngineUnavailable
from tests.features.marks.marks import hum


async def test_an_answer_of_the_revision_before_is_marked_with_its_own_key(tmp_path: Path) -> None:
    def config(number: int) -> Config:
        keys = b64encode(bytes([number]) * 32).decode()
        return Config(features={"marking": MarkingSection(mark="hum", keys=keys)}, data=str(tmp_path))

    registry = Registry({("mark", "hum"): hum()}, ())
    async with open_store("sqlite", tmp_path) as store, open_marker(registry, config(1), store) as marker:
        assert marker.keys is not None
        old = MarkUse("hum", "", marker.keys.newest.id)
        marker.revise(config(2))
        assert marker.keys.newest.id != old.key
        for use in (old, MarkUse("hum", "", marker.keys.newest.id)):
            await marker.open(use, 24_000)
        with pytest.raises(EngineUnavailable):
            await marker.open(MarkUse("hum", "", "0" * 8), 24_000)
