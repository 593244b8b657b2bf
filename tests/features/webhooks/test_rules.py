"""Which addresses a webhook may lead to, and what follows from an answer."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.features.webhooks import rules
from proxy.features.webhooks.rules import DAY_US, Target, is_public, read_url, target_fault
from tests.tables import each_row

pytestmark = pytest.mark.unit

IANA_V4 = (
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.0.0.0/29", "192.0.0.8/32", "192.0.0.9/32", "192.0.0.10/32", "192.0.0.170/31"),
    *("192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.88.99.2/32"),
    *("192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
    *("224.0.0.0/4", "240.0.0.0/4", "255.255.255.255/32"),
)
"""The registry of special purposes, with multicast."""
IANA_V6 = (
    *("::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "100:0:0:1::/64", "2001::/23", "2001::/32"),
    *("2001:1::1/128", "2001:1::2/128", "2001:1::3/128", "2001:2::/48", "2001:3::/32", "2001:4:112::/48"),
    *("2001:10::/28", "2001:20::/28", "2001:30::/28", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48"),
    *("3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)
INSIDE_OF = tuple(map(IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")))
"""Forms of an IPv4 address as one of IPv6: mapped, translated, NAT64, compatible."""
PRIVATE = tuple(map(ip_network, (*IANA_V4, *IANA_V6)))


def test_no_special_purpose_is_public(subtests: pytest.Subtests) -> None:
    for network in PRIVATE:
        for address in (network[0], network[network.num_addresses // 2], network[-1]):
            with subtests.test(address=str(address)):
                assert not is_public(str(address))
                if isinstance(address, IPv4Address):
                    assert not [form for form in INSIDE_OF if is_public(str(form[int(address)]))]


@given(st.data())
def test_nothing_of_a_private_network_is_public(data: st.DataObject) -> None:
    network = data.draw(st.sampled_from(PRIVATE))
    address = network[data.draw(st.integers(0, network.num_addresses - 1))]
    assert not is_public(str(address))


@given(st.ip_addresses(v=4))
def test_an_address_inside_of_another_is_judged_as_itself(address: IPv4Address) -> None:
    for around in ("::ffff:0:0", "64:ff9b::"):
        inside = IPv6Address(int(ip_address(around)) | int(address))
        assert is_public(str(inside)) == is_public(str(address))
    assert not is_public(str(IPv6Address(int(ip_address("2002::")) | int(address) << 80)))


@each_row(
    "address",
    ["8.8.8.8", "1.1.1.1", "192.88.98.1", "192.88.100.1", "2606:4700::1111", "::ffff:8.8.8.8", "2a00::1"],
)
def test_others_are(address: str) -> None:
    assert is_public(address)


@each_row("address", ["", "localhost", "fe80::1%eth0", "2606:4700::1111%1", "1.2.3"])
def test_what_is_no_address_or_has_a_zone_is_not(address: str) -> None:
    assert not is_public(address)


def nobody(_host: str) -> bool:
    return False


@each_row(
    ("url", "fault"),
    [
        ("https://hooks.example.org/a?b=c", None),
        ("https://hooks.example.org:8443/", None),
        ("https://8.8.8.8/", None),
        ("https://[2606:4700::1111]/", None),
        ("http://hooks.example.org/", "it must begin with https://"),
        ("https://hooks.example.org:25/", "its port must be 443, or 1024 and above"),
        ("https://localhost/", "its host must be a name with a dot, or a public address"),
        ("https://metadata./", "its host must be a name with a dot, or a public address"),
        ("https://127.0.0.1/", "its address must be public"),
        ("https://127.1/", "its address must be public"),
        ("https://2130706433/", "its address must be public"),
        ("https://0x7f000001/", "its address must be public"),
        ("https://127.0.0.1./", "its address must be public"),
        ("https://0x7f.0x1/", "its address must be public"),
        ("https://a.0x/", "its address must be public"),
        ("https://169.254.169.254/latest", "its address must be public"),
        ("https://[::1]/", "its address must be public"),
        ("https://[::ffff:10.0.0.1]/", "its address must be public"),
        ("https://[64:ff9b::7f00:1]/", "its address must be public"),
        ("https://[fd00::1]/", "its address must be public"),
    ],
)
def test_a_url_leads_to_the_public_unless_its_host_is_allowed(url: str, fault: str | None) -> None:
    target = read_url(url)
    assert target_fault(target, nobody) == fault
    assert target_fault(target, lambda host: host == target.host) is None


@each_row(
    "url",
    [
        *(
            "",
            "hooks.example.org",
            "ftp://a.b/",
            "https://",
            "https:///x",
            "https://a b.c/",
            "https://é.org/",
        ),
        *("https://u@a.b/", "https://u:p@a.b/", "https://@a.b/", "https://a.b/#x", "https://a.b:0/"),
        *(
            "https://a.b:99999/",
            "https://a.b\\@c.d/",
            "https://a.b/\n",
            "https://[::1/",
            f"https://a.b/{'x' * 2000}",
        ),
    ],
)
def test_what_is_no_such_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="it "):
        read_url(url)


def test_a_target_has_the_usual_port() -> None:
    assert read_url("https://A.example/x") == Target("https", "a.example", 443)
    assert read_url("http://[::1]/") == Target("http", "[::1]", 80)
    assert "x" not in repr(read_url("https://a.b/x"))


@each_row(
    ("status", "age", "said"),
    [
        (200, 0, "delivered"),
        (204, 9 * DAY_US, "delivered"),
        (410, 0, "gone"),
        (302, 0, "again"),
        (400, DAY_US - 1, "again"),
        (500, DAY_US, "failed"),
        (None, 0, "again"),
        (None, DAY_US, "failed"),
    ],
)
def test_an_answer_is_judged_by_its_status_and_the_age(status: int | None, age: int, said: str) -> None:
    assert rules.judge_status(status, 5 + age, 5) == said


def test_three_days_without_anything_that_arrives_turn_a_webhook_off() -> None:
    assert not rules.must_turn_off(9 * DAY_US, None)
    assert not rules.must_turn_off(9 * DAY_US, 6 * DAY_US + 1)
    assert rules.must_turn_off(9 * DAY_US, 6 * DAY_US)
