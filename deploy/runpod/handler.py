"""The far end at Runpod: a serverless worker, or with VOXGATE_TOKEN a pod that stops itself.

VOXGATE_WORKER names the worker module of an engine, VOXGATE_SETTINGS has its settings as JSON.
VOXGATE_TRAINER names the module that trains voices for it, where the plugin beside the worker does not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
import urllib.request
from collections.abc import AsyncIterator
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_args

from speech_engine import Hosted
from speech_engine.device import DeviceKind
from speech_engine.host.devices import choose_device
from speech_engine.host.log import HostLogger
from speech_engine.host.remote_server import RemoteServer
from speech_engine.host.remote_worker import RemoteTrainer, RemoteWorker, as_json, open_remote_worker
from speech_engine.plugin import worker_plugin
from speech_engine.runner import decode_work
from speech_engine.training import BeginTraining

WORKER = os.environ["VOXGATE_WORKER"]
SETTINGS = os.environ.get("VOXGATE_SETTINGS", "{}").encode()
PORT = int(os.environ.get("VOXGATE_PORT", "8000"))
STOP_S = float(os.environ.get("VOXGATE_STOP_S", "3600"))
"""A pod ends this long after its start, whatever happens, …"""
IDLE_S = float(os.environ.get("VOXGATE_IDLE_S", "120"))
"""… and so long after its last work."""


def opened() -> Any:
    device = os.environ.get("VOXGATE_DEVICE", "auto")
    named = os.environ.get("VOXGATE_DEVICES", "cuda,cpu").split(",")
    kinds: tuple[DeviceKind, ...] = tuple(kind for kind in get_args(DeviceKind) if kind in named)
    worker_plugin(WORKER)  # so that a wrong name ends the start at once
    chosen, trainer = choose_device(device, kinds), None
    if module := os.environ.get("VOXGATE_TRAINER") or trainer_of(WORKER):
        begin = BeginTraining(
            name="engine", module=module, settings=SETTINGS, device=str(chosen), devices=kinds
        )
        trainer = RemoteTrainer(begin)
    return open_remote_worker(WORKER, SETTINGS, chosen, HostLogger("far end"), trainer=trainer)


def trainer_of(worker: str) -> str:
    """Return the trainer that the plugin beside a worker names, "" for none."""
    package = worker.rpartition(".")[0]
    if not package or find_spec(f"{package}.plugin") is None:
        return ""
    plugins = import_module(f"{package}.plugin").voxgate_register()
    return next((each.create.trainer for each in plugins if isinstance(each.create, Hosted)), "")


async def serve_pod(token: str) -> None:
    began = time.monotonic()
    async with opened() as remote_worker:
        server = RemoteServer(remote_worker, token, ("0.0.0.0", PORT))
        try:
            while True:
                await asyncio.sleep(1.0)
                if _is_over(remote_worker, began, time.monotonic()):
                    break
        finally:
            server.close()
    await asyncio.to_thread(end_pod)


def _is_over(remote_worker: RemoteWorker, began: float, now: float) -> bool:
    return now - began >= STOP_S or (not remote_worker.running and now - remote_worker.idle_since >= IDLE_S)


def end_pod() -> None:
    """Ask Runpod to end this pod: one whose program ends is only started anew."""
    pod, key = os.environ.get("RUNPOD_POD_ID"), os.environ.get("VOXGATE_STOP_KEY")
    if not pod or not key:
        return
    url = f"https://api.runpod.io/v2/pods/{pod}"
    request = urllib.request.Request(url, method="DELETE", headers={"authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30):
        pass


def serve_queue() -> None:
    serverless = import_module("runpod").serverless  # only in the image

    logging.getLogger().setLevel(logging.WARNING)
    remote_worker: list[RemoteWorker] = []
    stay = []

    async def handler(asked: dict[str, Any]) -> AsyncIterator[dict[str, object]]:
        if not remote_worker:
            stay.append(context := opened())
            remote_worker.append(await context.__aenter__())
        async for piece in remote_worker[0].pieces(decode_work(asked["input"])):
            yield as_json(piece)

    # Without the aggregate a result could be read once only, and a lost answer would be a lost result.
    serverless.start({"handler": handler, "return_aggregate_stream": True})


if __name__ == "__main__":
    if secret := os.environ.get("VOXGATE_TOKEN"):
        asyncio.run(serve_pod(secret))
    else:
        serve_queue()
