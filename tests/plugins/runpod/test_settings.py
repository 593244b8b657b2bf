"""The settings of config.toml: one of two ways, with what each needs; and no secret in sight."""

from typing import Any

import msgspec
import pytest
import structlog

from plugins.runpod.plugin import voxgate_register
from plugins.runpod.pod_runner import PodRunner, create
from plugins.runpod.serverless import ServerlessRunner
from plugins.runpod.settings import RunpodSettings
from proxy.config.fields import FieldFaults, read_struct
from speech_engine import Context
from speech_engine.runner import Runner
from tests.plugins.runpod.rig import PODS
from tests.tables import each_row

ENDPOINT: dict[str, Any] = {"api_key": "k", "endpoint_id": "ep1", "usd_per_second": 0.0005}
OWN: dict[str, Any] = {"api_key": "k", "pods": PODS}


def test_the_plugin_is_a_runner() -> None:
    (plugin,) = voxgate_register()
    assert (plugin.kind, plugin.name, plugin.settings) == ("runner", "runpod", RunpodSettings)


@pytest.mark.parametrize(("written", "kind"), [(ENDPOINT, ServerlessRunner), (OWN, PodRunner)])
async def test_the_settings_choose_the_runner(written: dict[str, Any], kind: type) -> None:
    settings = msgspec.convert(written, RunpodSettings)
    async with create("rented", settings, Context(structlog.get_logger())) as runner:
        assert isinstance(runner, kind)
        assert isinstance(runner, Runner)


@each_row(
    ("written", "word"),
    [
        ({"api_key": "k"}, "endpoint_id: one of two"),
        ({**ENDPOINT, "pods": PODS}, "endpoint_id: one of two"),
        ({**ENDPOINT, "usd_per_second": 0.0}, "usd_per_second"),
        ({**ENDPOINT, "endpoint_id": "a/b"}, "endpoint_id"),
        ({**ENDPOINT, "jobs_url": "api.runpod.ai"}, "jobs_url"),
        ({**ENDPOINT, "idle": 5}, "idle"),
        ({**ENDPOINT, "most_s": 4}, "most_s"),
        ({"endpoint_id": "ep1", "usd_per_second": 0.1}, "api_key"),
        ({**OWN, "pods": {**PODS, "deployment": "blue-1"}}, "deployment"),
        ({**OWN, "pods": {**PODS, "gpus": []}}, "gpus"),
        ({**OWN, "pods": {**PODS, "usd_per_hour": 0}}, "usd_per_hour"),
        ({**OWN, "pods": {**PODS, "proxy_url": "https://one.example"}}, "proxy_url"),
        ({**OWN, "pods": {**PODS, "deadline_s": 2099}}, "deadline_s"),
        ({**OWN, "pods": {**PODS, "cloud": "ANY"}}, "cloud"),
        ({**OWN, "pods": {**PODS, "idle_stop": 5}}, "idle_stop"),
    ],
)
def test_what_is_wrong_is_named(written: dict[str, Any], word: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=word):
        msgspec.convert(written, RunpodSettings)


@each_row(
    ("written", "key"),
    [
        ({"api_key": "k"}, "endpoint_id"),
        ({**ENDPOINT, "pods": PODS}, "endpoint_id"),
        ({**ENDPOINT, "usd_per_second": 0.0}, "usd_per_second"),
        ({**OWN, "pods": {**PODS, "deadline_s": 2099}}, "pods.deadline_s"),
    ],
)
def test_what_is_wrong_together_is_told_at_a_key(written: dict[str, Any], key: str) -> None:
    with pytest.raises(FieldFaults) as caught:
        read_struct(RunpodSettings, written)
    assert [fault.field for fault in caught.value.faults] == [key]
    assert all(fault.expected for fault in caught.value.faults)


def test_no_secret_is_shown() -> None:
    settings = msgspec.convert({**OWN, "api_key": "secret1", "stop_key": "secret2"}, RunpodSettings)
    assert "secret" not in repr(settings)
    assert repr(settings.pods) == "<PodSettings of blue>"


def test_limits_bound_what_a_work_may_cost_and_how_long_it_may_live() -> None:
    context = Context(structlog.get_logger())
    ours = ServerlessRunner(msgspec.convert(ENDPOINT, RunpodSettings), context).limits
    assert ours.most_usd == pytest.approx((120 + 600 + 5) * 0.0005)
    assert ours.over_s == 600 + 120 + 600 + 600 + 60
    pods = PodRunner(msgspec.convert(OWN, RunpodSettings), context).limits
    assert pods.most_usd == pytest.approx((900 + 600 + 300 + 300) / 3600)
    assert (pods.over_s, pods.kept_s, pods.stays_s) == (900 + 600 + 600 + 60, 240, 14_400 + 300)
    assert ours.stays_s == 1800
