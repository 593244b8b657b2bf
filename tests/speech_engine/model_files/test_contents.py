"""A file that a plugin reads itself is refused with what is wrong with it."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from speech_engine.model_declarations import ModelFile, TensorInfo, UnusableModel
from speech_engine.model_files.contents import FolderContents


def read_tensors(data: memoryview) -> Mapping[str, TensorInfo]:
    raise ValueError(f"no number in {len(data)} bytes")


def test_a_file_that_a_plugin_cannot_read_is_no_empty_one(tmp_path: Path) -> None:
    contents = FolderContents(
        [ModelFile(role="model", kind="own", name="model.bin", reader=read_tensors)], tmp_path
    )
    for data, fault in ((b"", "model.bin: it is empty"), (b"a b", "model.bin: it is damaged")):
        (tmp_path / "model.bin").write_bytes(data)
        with pytest.raises(UnusableModel) as refused:
            contents.tensors("model")
        assert str(refused.value) == fault
