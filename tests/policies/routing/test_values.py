"""The routes for a language."""

from policies.routing import Route, Routes
from tests.tables import each_row

ROUTES = Routes(
    [Route(language="en"), Route(language="en-NG"), Route(language="zh-Hant"), Route(language="th")]
)


@each_row(
    ("tag", "found"),
    [
        ("en", ["en"]),
        ("EN", ["en"]),
        ("en-NG", ["en-NG", "en"]),
        ("en-ng", ["en-NG", "en"]),
        ("en-GB", ["en"]),
        ("th-TH", ["th"]),
        ("zh", []),
        ("pt-BR", []),
    ],
)
def test_a_languages_own_route_comes_before_that_of_its_base(tag: str, found: list[str]) -> None:
    assert [route.language for route in ROUTES.of(tag)] == found


def test_without_routes_nothing_matches() -> None:
    assert list(Routes().of("en")) == []
