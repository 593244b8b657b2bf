"""The first bytes of a request, and what is left to a client with more in it."""

from __future__ import annotations

import pytest

from proxy.engines.http1_request import Headers, request_head
from speech_engine import EngineUnavailable

KEY: Headers = (("authorization", "Bearer sk"), ("Content-Type", "application/json"))


def test_a_head_has_what_was_given_and_what_is_always_sent() -> None:
    head = request_head("POST", "http://api.example:8080/v1/audio/speech?a=b%20c", KEY)
    assert head is not None
    assert head.with_body(b"{}") == (
        b"POST /v1/audio/speech?a=b%20c HTTP/1.1\r\nhost: api.example:8080\r\n"
        b"accept: */*\r\naccept-encoding: identity\r\nuser-agent: voxgate\r\n"
        b"authorization: Bearer sk\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
    )
    assert repr(head) == "<RequestHead>"


@pytest.mark.parametrize(
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
    assert head is not None
    assert (head.origin, head.may_repeat) == (origin, True)
    assert head.with_body(b"").startswith(f"GET {target} HTTP/1.1\r\nhost: {host}\r\n".encode())
    assert head.with_body(b"").endswith(b"\r\n\r\n")
    assert b"content-length" not in head.with_body(b"")


def test_a_post_without_a_body_says_so() -> None:
    head = request_head("POST", "http://a/x", ())
    assert head is not None
    assert head.with_body(b"").endswith(b"content-length: 0\r\n\r\n")


@pytest.mark.parametrize(
    "url",
    [
        *(
            "nonsense",
            "ftp://x",
            "http://",
            "http://ada:secret@a/",
            "http://a/x#part",
            "http://a/ä",
            "http://ä/",
        ),
        *("http://a/a b", "http://a/../b", "http://a/.", "http://a:0/", "http://a:70000/", "http://a/\r\nx"),
        *("http://[fe80::1%25eth0]/", "http://a./", "HTTP://a/", "http://a\n"),
    ],
)
def test_an_address_that_is_not_plain_is_left_to_the_other_client(url: str) -> None:
    assert request_head("GET", url, ()) is None


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "CONNECT", "get", "GET /x HTTP/1.1\r\n"])
def test_a_method_with_rules_of_its_own_is_left_to_the_other_client(method: str) -> None:
    assert request_head(method, "http://a/", ()) is None


@pytest.mark.parametrize(
    "header", [("Host", "b"), ("connection", "close"), ("Content-Length", "3"), ("accept-encoding", "gzip")]
)
def test_a_header_of_the_transport_is_left_to_the_other_client(header: tuple[str, str]) -> None:
    assert request_head("GET", "http://a/", (header,)) is None


@pytest.mark.parametrize("header", [("x", "a\r\nb: c"), ("x", "a\nb"), ("x", "a\0"), ("x y", "a"), ("", "a")])
def test_a_header_that_would_be_two_is_refused(header: tuple[str, str]) -> None:
    with pytest.raises(EngineUnavailable):
        request_head("GET", "http://a/", (header,))
