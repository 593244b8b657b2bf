"""Keys of several provider accounts: a voice is only tried on the keys of the account that has it."""

import pytest

from proxy.config.sections import Config, EngineSection
from proxy.engines import registry
from proxy.engines.engine_list import open_engines
from proxy.telemetry.metrics import Metrics
from speech_engine import EngineExhausted, EngineUnauthorized, EngineUnavailable, VoiceNotFound
from tests.proxy.engines.keys import WELL, Turns, cloud_engine, count_audio, job

LABELS = ("default", "studio", "studio")


async def test_a_job_with_a_credential_is_tried_on_its_keys_alone() -> None:
    first, second, third = Turns(WELL), Turns([EngineUnauthorized("no")]), Turns(WELL)
    engine = cloud_engine(first, second, third, credentials=LABELS)
    assert await count_audio(engine, job(credential="studio"))
    assert [len(each.jobs) for each in (first, second, third)] == [0, 1, 1]


async def test_while_its_keys_rest_it_is_unavailable_and_never_an_unknown_voice() -> None:
    stranger = Turns([VoiceNotFound("it is not there")])
    spent = Turns([EngineExhausted("nothing left")])
    engine = cloud_engine(stranger, spent, spent, credentials=LABELS)
    with pytest.raises(EngineExhausted):
        await count_audio(engine, job(credential="studio"))
    with pytest.raises(EngineUnavailable) as raised:
        await count_audio(engine, job(credential="studio"))
    assert raised.value.retry_after_s is not None
    assert stranger.jobs == []


async def test_a_credential_that_is_gone_is_unavailable() -> None:
    engine = cloud_engine(Turns(WELL), credentials=("default",))
    with pytest.raises(EngineUnavailable, match="no credential called studio"):
        await count_audio(engine, job(credential="studio"))


async def test_a_job_without_a_credential_is_tried_on_all_keys() -> None:
    refused, well = Turns([EngineUnauthorized("no")]), Turns(WELL)
    engine = cloud_engine(refused, well, credentials=("default", "studio"))
    assert await count_audio(engine)
    assert engine.reason == "key 1 of default: no"


async def test_the_list_of_engines_has_labels_and_no_secrets() -> None:
    accounts = {"studio": {"api_key": "sk-secret-1"}, "school": {"api_key": "sk-secret-2"}}
    section = EngineSection("minimax", credentials=accounts, settings={"base_url": "http://127.0.0.1:9"})
    config = Config(engines={"minimax": section, "tone": EngineSection("tone")})
    async with open_engines(registry.load(), config, Metrics().engines) as engines:
        labels = {status.name: status.credentials for status in await engines.statuses()}
        shown = f"{await engines.statuses()} {engines!r} {section!r}"
    assert labels == {"minimax": ("studio", "school"), "tone": ()}
    assert "sk-secret" not in shown
