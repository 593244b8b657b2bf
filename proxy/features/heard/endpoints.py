"""GET /admin/misheard: how often the voices of each model are heard wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.features.heard.rates import MisheardRates
from proxy.features.voice_list.misheard_rates import MisheardRate
from proxy.http.replies import reply
from proxy.http.resource import Resource, endpoint


class MisheardRateList(msgspec.Struct, frozen=True, kw_only=True):
    """The rates of all voices of a model together, the most heard model first."""

    object: Literal["list"] = "list"
    data: Sequence[MisheardRate]


class MisheardModels(Resource):
    def __init__(self, rates: MisheardRates) -> None:
        self._rates = rates

    @endpoint("GET", "/admin/misheard", MisheardRateList)
    async def list_misheard_rates(self, _request: Request) -> Response:
        """How often the voices of each model are heard wrong"""
        return reply(MisheardRateList(data=await self._rates.of_models()))
