"""The first bytes of a request, and what cannot be sent."""

from base64 import b64encode

import pytest

from proxy.engines.http.forward_proxy import read_proxy
from proxy.engines.http.http1_request import Headers, request_head
from speech_engine import EngineUnavailable
from tests.tables import each_row

KEY: Headers = (("authorization", "Bearer sk"), ("Content-Type", "application/json"))


def test_a_head_has_what_was_given_and_what_is_always_sent() -> None:
    head = request_head("POST", "http://api.example:8080/v1/audio/speech?a=b%20c", KEY)
    assert head.with_body(b"{}") == (
        b"POST /v1/audio/speech?a=b%20c HTTP/1.1\r\nhost: api.example:8080\r\n"
        b"accept: */*\r\naccept-encoding: identity\r\nuser-agent: voxgate\r\n"
        b"authorization: Bearer sk\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert repr(head) == "<RequestHead>"


@each_row(
    ("url", "origin", "host", "target"),
    [
        ("http://a", ("http", "a", 80), "a", "/"),
        ("https://A.example", ("https", "a.example", 443), "a.example", "/"),
        ("https://a:443/x", ("https", "a", 443), "a", "/x"),
        ("http://a:443/x", ("http", "a", 443), "a:443", "/x"),
        ("http://my_server:8000?q", ("http", "my_server", 8000), "my_server:8000", "/?q"),
        ("http://[::1]:8080/x", ("http", "::1", 8080), "[::1]:8080", "/x"),
    ],
)
def test_an_address_is_where_to_connect_and_what_to_ask(
    url: str, origin: tuple[str, str, int], host: str, target: str
) -> None:
    head = request_head("GET", url, ())
    assert (head.origin, head.may_repeat) == ((*origin, None), True)
    assert head.with_body(b"").startswith(f"GET {target} HTTP/1.1\r\nhost: {host}\r\n".encode())
    assert head.with_body(b"").endswith(b"\r\n\r\n")
    assert b"content-length" not in head.with_body(b"")


def test_a_post_without_a_body_says_so() -> None:
    head = request_head("POST", "http://a/x", ())
    assert head.with_body(b"").endswith(b"content-length: 0\r\n\r\n")


@each_row(
    ("url", "first"),
    [
        ("http://a/ä b", "GET /%C3%A4%20b HTTP/1.1\r\nhost: a\r\n"),
        ("http://a/%20%2F?q=ä&b=[1]", "GET /%20%2F?q=%C3%A4&b=[1] HTTP/1.1\r\nhost: a\r\n"),
        ("http://ä/", "GET / HTTP/1.1\r\nhost: xn--4ca\r\n"),
        ("HTTP://A/x#part", "GET /x HTTP/1.1\r\nhost: a\r\n"),
        ("http://a/\r\nx: y", "GET /x:%20y HTTP/1.1\r\nhost: a\r\n"),
    ],
)
def test_an_address_is_quoted_where_it_must_be(url: str, first: str) -> None:
    assert request_head("GET", url, ()).data.startswith(first.encode())


@each_row(
    "url", ["nonsense", "ftp://x", "http://", "http://a:0/", "http://a:70000/", "http://a b/", "http://[x]/"]
)
def test_an_address_that_is_none_reaches_nobody(url: str) -> None:
    with pytest.raises(EngineUnavailable) as refused:
        request_head("GET", url, ())
    assert url not in str(refused.value)


def test_a_password_in_the_address_is_sent_as_one_and_never_in_place_of_a_key() -> None:
    data = request_head("GET", "http://ada:s%C3%A4cret@a/", ()).data
    assert data.startswith(b"GET / HTTP/1.1\r\nhost: a\r\n")
    assert f"authorization: Basic {b64encode('ada:säcret'.encode()).decode()}\r\n".encode() in data
    assert b"Basic" not in request_head("GET", "http://ada:secret@a/", KEY).data


@each_row("method", ["HEAD", "OPTIONS", "CONNECT", "get", "GET /x HTTP/1.1\r\n"])
def test_a_method_with_rules_of_its_own_is_refused(method: str) -> None:
    with pytest.raises(EngineUnavailable):
        request_head(method, "http://a/", ())


@each_row("header", [("Host", "b"), ("connection", "close"), ("Content-Length", "3")])
def test_a_header_of_the_transport_is_refused_by_name(header: tuple[str, str]) -> None:
    with pytest.raises(EngineUnavailable, match=header[0].lower()):
        request_head("GET", "http://a/", (header,))


def test_a_proxy_reads_plain_requests_and_knows_no_others() -> None:
    proxy = read_proxy("http://ada:secret@proxy:3128")
    plain = request_head("GET", "http://a:81/x?y", (), proxy)
    assert plain.data.startswith(b"GET http://a:81/x?y HTTP/1.1\r\nhost: a:81\r\nproxy-authorization: Basic ")
    private = request_head("GET", "https://a/x", (), proxy)
    assert private.data.startswith(b"GET /x HTTP/1.1\r\nhost: a\r\naccept")
    assert proxy.tunnel_to("::1", 443).startswith(b"CONNECT [::1]:443 HTTP/1.1\r\n")
    assert "secret" not in f"{proxy!r} {plain!r} {private!r} {private.origin!r}"


@each_row("header", [("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "a\0"), ("x y", "a"), ("", "a")])
def test_a_header_that_would_be_two_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(EngineUnavailable):
        request_head("GET", "http://a/", (header,))
