"""What an answer of the API says, if its status is the one that is expected."""

from typing import Any

import httpx2


def json_of(answer: httpx2.Response, status: int = 200) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    shown: dict[str, Any] = answer.json()
    return shown
