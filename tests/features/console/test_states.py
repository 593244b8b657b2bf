"""Pages in states that are seldom seen: a plan that one has, lists without a row, a chart without room."""

import pytest

from tests.features.console.console_page import ALL_LOOKS, Reader
from tests.features.console.people import People, sign_in

pytestmark = pytest.mark.slow


def test_the_plan_that_one_has_is_readable(visitor: Reader, people: People) -> None:
    sign_in(visitor, people.invite("hal@example.org"))
    people.administer("POST", f"accounts/{people.account('hal@example.org')}", plan="creator")
    visitor.go("account")
    visitor.wait("at('.plan.mine')")
    visitor.assert_readable(ALL_LOOKS)


@pytest.mark.parametrize("page", ["jobs", "history"])
def test_a_list_without_a_row_is_readable(reader: Reader, page: str) -> None:
    reader.open(page)
    reader.wait("document.querySelectorAll('#page *').length > 8")
    reader.assert_readable(((375, "dark"), (1280, "light")))


def test_tabs_stay_in_one_row_and_the_one_of_the_page_is_in_sight(reader: Reader) -> None:
    reader.tab.show(width=375)
    reader.open("voices")
    for page in ("voices", "scripts", "lexicons", "mixes", "jobs", "tables", "webhooks", "history", "usage"):
        reader.go(page)
        reader.wait("at('.tabs [aria-current]')")
        assert (
            reader.tab.run("new Set([...at('.tabs').children].map(({ offsetTop }) => offsetTop)).size") == 1
        )
        box = "at('.tabs [aria-current]').getBoundingClientRect()"
        assert reader.tab.run(f"(({{ left, right }}) => left >= 0 && right <= innerWidth)({box})"), page
        assert reader.tab.run("document.documentElement.scrollWidth") <= 375
    reader.tab.show(width=1280)


def test_a_chart_without_room_is_not_drawn(reader: Reader) -> None:
    with reader.server.client(reader.key.secret) as client:
        body = {"model": "tone", "voice": "alloy", "input": "Hi."}
        client.post("/v1/audio/speech", json=body).raise_for_status()
    reader.open("usage")
    reader.wait("at('.chart rect')")
    reader.tab.run("at('#page').hidden = true")
    reader.wait("!at('.chart')")
    reader.tab.run("at('#page').hidden = false")
    reader.wait("at('.chart rect')")
