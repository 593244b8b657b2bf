"""The fake's management API is as strict as its reference: pods, actions, refusals, quotas, the bill."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from fakes.runpod.app import TOKEN_VARIABLE, FakeRunpod
from fakes.runpod.clock import Clock
from fakes.runpod.management import Management
from fakes.serving import served
from tests.plugins.runpod.asking import Asked, asked

GPU = "NVIDIA GeForce RTX 4090"
POD: dict[str, Any] = {"name": "mine", "image": "an/image:1", "gpu": {"id": GPU}}


async def _made(at: Asked, **more: Any) -> str:
    answer = await at.management.post("pods", json={**POD, **more})
    assert answer.status_code == 201, answer.text
    id_: str = answer.json()["id"]
    return id_


async def _act(at: Asked, pod: str, action: str) -> int:
    return (await at.management.post(f"pods/{pod}/action", json={"action": action})).status_code


async def test_a_pod_starts_by_the_clock_and_is_paid_from_its_creation() -> None:
    async with asked() as at:
        pod = await _made(at)
        seen = []
        for _ in range(3):
            told = (await at.management.get(f"pods/{pod}")).json()
            seen.append((told["status"], told["actions"], told["runtime"] is None))
            at.fake.clock.advance(30)
        assert seen == [
            ("PROVISIONING", ["stop", "terminate"], True),
            ("STARTING", ["stop", "terminate"], True),
            ("RUNNING", ["stop", "restart", "terminate"], False),
        ]
        at.fake.clock.advance(3600 - 90)
        assert at.fake.spent_usd == pytest.approx(0.44)
        assert await _act(at, pod, "stop") == 200
        at.fake.clock.advance(3600)
        told = (await at.management.get(f"pods/{pod}")).json()
        assert (told["status"], told["cost"], told["actions"]) == ("EXITED", 0, ["start", "terminate"])
        assert await _act(at, pod, "start") == 200
        at.fake.clock.advance(3600)
        assert (await at.management.delete(f"pods/{pod}")).status_code == 204
        at.fake.clock.advance(3600)
        assert at.fake.spent_usd == pytest.approx(0.88)
        assert (await at.management.get(f"pods/{pod}")).status_code == 404
        bill = (await at.management.get("billing/pods?bucketSize=day&lastN=30")).json()
        assert bill["metadata"]["totals"]["amount"] == pytest.approx(0.88)


async def test_only_legal_actions() -> None:
    async with asked() as at:
        pod = await _made(at)
        assert await _act(at, pod, "start") == 409
        assert await _act(at, pod, "restart") == 409
        assert await _act(at, pod, "reset") == 422
        assert await _act(at, pod, "terminate") == 204
        assert await _act(at, pod, "terminate") == 404


@pytest.mark.parametrize(
    ("more", "status", "word"),
    [
        ({"gpuTypeIds": [GPU]}, 422, "gpuTypeIds"),
        ({"idleTimeout": 5}, 422, "idleTimeout"),
        ({"ports": ["8888"]}, 422, "ports"),
        ({"disk": 0}, 422, "disk"),
        ({"cpu": {"id": "cpu3c", "vcpuCount": 2}}, 400, "exactly one"),
        ({"gpu": None}, 400, "exactly one"),
        ({"gpu": {"id": "NVIDIA NONE"}}, 400, "unknown gpu"),
        (
            {
                "mounts": {
                    "network": [{"volumeId": "v", "path": "/w"}],
                    "persistent": {"size": 10, "path": "/w"},
                }
            },
            400,
            "exclude",
        ),
    ],
)
async def test_a_wrong_order_is_told_as_a_problem(more: dict[str, Any], status: int, word: str) -> None:
    async with asked() as at:
        answer = await at.management.post("pods", json={**POD, **more})
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
        assert word in answer.text
        assert at.fake.fleet.pods == {}


async def test_a_gpu_runs_out() -> None:
    async with asked() as at:
        at.fake.fleet.types[GPU].stock = 1
        await _made(at)
        answer = await at.management.post("pods", json=POD)
        assert answer.status_code == 400
        assert "no longer any instances" in answer.json()["detail"]
        found = (await at.management.get("catalog/gpus?include=AVAILABILITY&product=POD")).json()["gpus"]
        assert {each["id"]: each["availability"] for each in found}[GPU] == "NONE"
        assert (await at.management.get("catalog/gpus?include=AVAILABILITY")).status_code == 400


async def test_a_create_succeeds_although_its_answer_is_lost() -> None:
    async with asked() as at:
        at.fake.management.fail("lost", path="/pods")
        with pytest.raises(httpx2.TransportError):
            await at.management.post("pods", json=POD)
        listed = (await at.management.get("pods?name=other")).json()["pods"]
        assert [pod["name"] for pod in listed] == ["mine"]


async def test_the_quota_is_told_and_held() -> None:
    fake = FakeRunpod(clock=Clock())
    fake.account.minute.most = 2
    async with asked(fake) as at:
        answers = [await at.management.get("pods") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"minute";q=2;w=60'
        assert answers[0].headers["ratelimit"] == '"minute";r=1;t=60'
        assert answers[2].headers["retry-after"] == "60"
        at.fake.clock.advance(60)
        assert (await at.management.get("pods")).status_code == 200


async def test_a_pod_serves_behind_the_proxy_while_it_runs() -> None:
    async with asked() as at:
        pod = await _made(at, env={TOKEN_VARIABLE: "secret"})
        bearer = {"authorization": "Bearer secret"}
        body = {"input": {"key": "k1"}}
        assert (await at.proxy.post(f"/{pod}/run", json=body, headers=bearer)).status_code == 502
        at.fake.clock.advance(60)
        assert (await at.proxy.post(f"/{pod}/run", json=body)).status_code == 401
        for _ in range(2):
            assert (await at.proxy.post(f"/{pod}/run", json=body, headers=bearer)).json()["id"] == "k1"
        assert len(at.fake.starts) == 1
        await _act(at, pod, "terminate")
        assert (await at.proxy.get(f"/{pod}/status/k1", headers=bearer)).status_code == 404


async def test_the_old_apis_are_gone_and_fail_the_test() -> None:
    fake = FakeRunpod()

    async def ask() -> list[int]:
        async with fake.ended(), served(fake.management) as at, httpx2.AsyncClient(base_url=at.url) as client:
            return [(await client.post(path)).status_code for path in ("/graphql", "/v1/pods")]

    with pytest.raises(AssertionError, match="/graphql"):
        await ask()
    assert [record.status for record in fake.management.seen] == [410, 410]


def test_the_account_says_how_full_it_is() -> None:
    fake = FakeRunpod()
    assert repr(Management(fake.fleet, fake.clock, "k")) == "<Management of <Fleet 0 pods, 0 billing>>"
