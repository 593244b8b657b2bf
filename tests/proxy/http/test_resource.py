"""Endpoints as their methods declare them."""

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from proxy.errors import NotFound
from proxy.http.body import BODY_FAILURES
from proxy.http.endpoint import Query, admin_endpoints, client_endpoints
from proxy.http.replies import struct_from
from proxy.http.resource import Resource, endpoint, second_path


class Cup(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    litres: float
    kind: str = "cup"


class Cups(Resource):
    @endpoint("PUT", "/v1/cups/{name}", Cup, body=Cup, failures=(NotFound,))
    async def put_cup(self, _request: Request) -> Response:
        """Keep a cup

        Whoever breaks it pays.
        """
        return Response(status_code=204)

    @endpoint(
        "GET",
        "/v1/cups",
        Cup,
        media=("text/csv",),
        also=second_path("/admin/cups", "list_all_cups", summary="All cups", queries=(Query("of", ""),)),
    )
    async def list_cups(self, _request: Request) -> Response:
        """The account's
        cups"""
        return Response()


def test_endpoints_are_in_the_order_of_the_source() -> None:
    names = [(each.method, each.path, each.name) for each in Cups().endpoints]
    assert names == [
        ("PUT", "/v1/cups/{name}", "put_cup"),
        ("GET", "/v1/cups", "list_cups"),
        ("GET", "/admin/cups", "list_all_cups"),
    ]


def test_the_summary_is_the_first_paragraph_unless_a_path_has_its_own() -> None:
    assert [each.summary for each in Cups().endpoints] == ["Keep a cup", "The account's cups", "All cups"]


def test_each_root_has_its_part() -> None:
    endpoints = Cups().endpoints
    assert [each.name for each in client_endpoints(endpoints)] == ["put_cup", "list_cups"]
    assert [each.name for each in admin_endpoints(endpoints)] == ["list_all_cups"]


def test_what_takes_a_body_fails_as_bodies_do() -> None:
    put, list_, _ = Cups().endpoints
    assert put.failures == (*BODY_FAILURES, NotFound)
    assert list_.failures == ()
    assert dict(list_.answers) == {"application/json": (Cup,), "text/csv": ()}


async def test_a_handler_belongs_to_its_own_resource() -> None:
    one, other = Cups(), Cups()
    assert one.endpoints[0].handler == one.put_cup
    assert one.endpoints[0].handler != other.put_cup


def test_a_record_is_shown_by_its_own_fields() -> None:
    class Row(msgspec.Struct):
        name: str
        millilitres: int

    row = Row("blue", 250)
    assert struct_from(Cup, row, litres=row.millilitres / 1000) == Cup(name="blue", litres=0.25)
