"""Mixes that are refused, in a request and to be saved alike: the rules are the same in both."""

from typing import Any

import pytest

from tests.proxy.api.inside import TONE, Inside, envelope, inside_fixture
from tests.proxy.api.owning import clone

server = inside_fixture(TONE)


async def expect_refusal(server: Inside, mix: list[dict[str, Any]], reason: str) -> None:
    spoken = await server.speech(voice={"mix": mix})
    saved = await server.ask("POST", "/v1/audio/voices", body={"name": "blend", "mix": mix})
    for answer, param in ((spoken, "voice.mix"), (saved, "mix")):
        assert (answer.status_code, envelope(answer)["param"]) == (400, param), answer.text
        assert reason in envelope(answer)["message"]


@pytest.mark.parametrize("weight", [0.0001, 1e-300])
async def test_a_voice_whose_share_would_be_nothing_is_refused(server: Inside, weight: float) -> None:
    mix = [{"id": "alloy", "weight": 1000}, {"id": "tone/slow", "weight": weight}]
    await expect_refusal(server, mix, "the weight of 'tone/slow' is too small beside the others")


async def test_a_voice_by_its_id_and_by_its_name_is_twice_in_a_mix(server: Inside) -> None:
    voice = (await clone(server))["id"]
    await expect_refusal(server, [{"id": voice}, {"id": "Ana"}], f"it has '{voice}' twice")
