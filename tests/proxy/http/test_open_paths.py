"""What needs no key: a method on a path, and nothing else that lies there."""

from proxy.http.endpoint import Access, Endpoint, open_paths
from tests.tables import each_row


async def nobody(*_: object) -> None:
    """Answer nothing."""


def endpoint(method: str, path: str, access: Access) -> Endpoint:
    return Endpoint(method, path, nobody, "name", "summary", {}, access=access)  # type: ignore[arg-type]  # a table


ENDPOINTS = [
    endpoint("GET", "/docs", "open"),
    endpoint("POST", "/docs", "key"),
    endpoint("GET", "/links/{token}", "open"),
    endpoint("DELETE", "/links/{token}", "key"),
    endpoint("POST", "/brought/{token}", "open"),
    endpoint("GET", "/models", "catalogue"),
]


@each_row(
    ("method", "path", "is_public", "is_allowed"),
    [
        ("GET", "/docs", False, True),
        ("HEAD", "/docs", False, True),
        ("POST", "/docs", False, False),
        ("GET", "/links/a", False, True),
        ("GET", "/links/a/b", False, False),
        ("DELETE", "/links/a", False, False),
        ("POST", "/brought/a", False, True),
        ("GET", "/brought/a", False, False),
        ("HEAD", "/brought/a", False, False),
        ("GET", "/models", False, False),
        ("GET", "/models", True, True),
        ("POST", "/models", True, False),
        ("GET", "/nothing", True, False),
    ],
)
def test_a_key_is_needed_unless_method_and_path_are_open(
    method: str, path: str, is_public: bool, is_allowed: bool
) -> None:
    assert open_paths(ENDPOINTS, is_public).contain_path(method, path) is is_allowed
