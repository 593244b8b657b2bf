"""/admin/receipts: the receipts of all accounts."""

from __future__ import annotations

from proxy.errors import NotFound, ReceiptsUnavailable
from proxy.features.marks.receipt_endpoints import Receipt, Receipts
from proxy.http.endpoint import Endpoint, json


def routes(handlers: Receipts) -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/admin/receipts/{id}",
            handlers.retrieve_any,
            "get_any_receipt",
            "The signed receipt of a clip of any account",
            json(Receipt),
            failures=(NotFound, ReceiptsUnavailable),
        )
    ]
