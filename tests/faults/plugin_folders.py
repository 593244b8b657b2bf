"""Third-party plugins as pip would leave them: a module and a dist-info folder, found over PYTHONPATH."""

import os
from pathlib import Path

IDLE = """
from contextlib import asynccontextmanager
import msgspec
from speech_engine.model_files import ModelFormat
from speech_engine import Hosted, Plugin

class Settings(msgspec.Struct, forbid_unknown_fields=True):
    pass

@asynccontextmanager
async def create(name, settings, context):
    raise RuntimeError("the model file is torn")
    yield
"""
"""The start of a module: settings, and a `create` that fails."""


def install(folder: Path, name: str, module: str) -> None:
    """A distribution of one module, whose one entry point bears the same name."""
    (folder / f"{name}.py").write_text(module)
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[voxgate]\n{name} = {name}\n")


def environ(folder: Path) -> dict[str, str]:
    """The environment in which they are found, by the server and by its hosts."""
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{before}" if before else str(folder)}
