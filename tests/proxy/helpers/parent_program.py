"""A worker with a process of each kind, which prints their numbers and waits to be killed.

`python -m tests.proxy.helpers.parent_program`. Each process is warm, and `odd_helper` has a question that it
never answers.
"""

import asyncio
import os
from pathlib import Path

import msgspec
import psutil

from proxy.helpers.helper import Helper, HelperSpec
from speech_engine.host.plugin_messages import BeginPlugin, unpack
from tests.proxy.engines import pitch_comparer
from tests.proxy.helpers import odd_helper

OURS = (
    "proxy.audio.recordings.decoding_child",
    "proxy.features.marks.manifest_child",
    "proxy.features.marks.search_child",
    "proxy.features.marks.signing_child",
    "proxy.features.models.conversion_child",
)
PLUGINS = {
    "speech_engine.host.comparing": BeginPlugin(
        "pitch", pitch_comparer.__name__, msgspec.json.encode(pitch_comparer.PitchSettings())
    ),
}


async def main() -> None:
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[3])
    files = (os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_WRONLY))
    helpers = [Helper(HelperSpec(module=module, inherit=files)) for module in OURS]
    helpers += [
        Helper(HelperSpec(module=module, begin=begin, unpack=unpack, environ=os.environ))
        for module, begin in PLUGINS.items()
    ]
    for helper in helpers:
        await helper.take_process()
    busy = await Helper(HelperSpec(module=odd_helper.__name__)).take_process()
    await busy.send(b"hang")
    print(*(child.pid for child in psutil.Process().children()), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
