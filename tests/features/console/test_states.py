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


def test_tabs_stay_in_one_row_and_the_links_of_the_page_are_in_sight(reader: Reader) -> None:
    reader.tab.show(width=375)
    reader.open("voices")
    tabbed = ("voices", "lexicons", "mixes", "jobs", "tables", "webhooks", "history", "usage")
    for page in (*tabbed, "account", "jobs/dub", "scripts"):
        reader.go(page)
        links = [".rail nav"]
        if page in tabbed:
            reader.wait("at('.tabs [aria-current]')")
            links.append(".tabs")
        for link in links:
            rows = f"new Set([...at('{link}').children].map(({{ offsetTop }}) => offsetTop)).size"
            assert reader.tab.run(rows) == 1
            box = f"at('{link} [aria-current]').getBoundingClientRect()"
            # The end of a bar may lie at half a pixel.
            assert reader.tab.run(f"(({{ left, right }}) => left > -1 && right < innerWidth + 1)({box})"), (
                page
            )
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
