"""Each operation of the OpenAPI document has a lawful request, which is answered as one that may be sent."""

from pathlib import Path

import pytest

from tests.proxy.http.every_endpoint import everything_served

pytestmark = pytest.mark.slow

REFUSED = {
    "test_webhook_endpoint": "webhook_not_reached",
    "test_webhook_endpoint_of": "webhook_not_reached",
    "confirm_sign_in": "sign_in_failed",
    "receive_mercadopago_event": "invalid_signature",
    "receive_stripe_event": "invalid_signature",
    "clone_voice": "invalid_value",
}
"""What is lawful, and refused by what this server has: no engine clones, no code was mailed."""


async def test_every_operation_has_a_lawful_request(tmp_path: Path) -> None:
    async with everything_served(tmp_path) as served:
        found, accesses = {}, set()
        for operation in served.operations:
            answer = await served.call(operation)
            accesses.add(operation.access)
            # Another operation may have taken the object away, or its state may not allow it.
            if answer.is_error and answer.status_code not in (404, 409):
                found[operation.id] = answer.json()["error"]["code"]
        assert found == REFUSED
        assert accesses == {"open", "key", "session", "admin"}
