"""Where a host may be that announces itself. What is public: tests/features/webhooks/test_rules.py."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from policies.network_addresses import host_fault, is_public, port_fault
from tests.tables import each_row

PRIVATE = [*map(ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"))]
METADATA = ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")
LOOPBACK = (
    "127.0.0.1",
    "127.9.9.9",
    "::1",
    "::ffff:127.0.0.1",
    "64:ff9b::7f00:1",
    "localhost",
    "a.LocalHost.",
)
ODD = ("127.1", "2130706433", "0x7f000001", "127.0.0.1.", "0x7f.1", "010.0.0.1", "10.0.0.1.", "fe80::1%eth0")
LINKS = ("169.254.0.1", "fe80::1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "224.0.0.1", "ff02::1")
NOWHERE = ("0.0.0.0", "::", "255.255.255.255", "240.0.0.1", "192.0.0.192", "192.0.2.1", "2002:7f00:1::")
NAMES = ("metadata", "Metadata.google.internal", "metadata.goog.", "instance-data.ec2.internal")


@each_row("host", [*METADATA, *ODD, *LINKS, *NOWHERE, *NAMES])
def test_no_host_is_there_and_a_local_gateway_is_no_exception(host: str) -> None:
    assert host_fault(host) is not None
    assert host_fault(host, may_be_local=True) is not None
    assert host_fault(host, [ip_network("0.0.0.0/0"), ip_network("::/0")]) is not None


@each_row("host", LOOPBACK)
def test_a_host_is_on_this_machine_only_where_that_is_allowed(host: str) -> None:
    assert host_fault(host) == "it must lead to another machine"
    assert host_fault(host, may_be_local=True) is None


@each_row(
    "host", ["10.0.0.5", "172.31.0.1", "192.168.1.9", "100.64.0.1", "fd00::1", "8.8.8.8", "2606:4700::1"]
)
def test_hosts_are_at_private_and_at_public_addresses(host: str) -> None:
    assert host_fault(host) is None
    assert host_fault(host, [ip_network("10.0.0.0/24")]) == (
        None if host == "10.0.0.5" else "it must be in the networks of its cluster"
    )


@each_row("name", ["gpu1", "gpu1.lan", "a.metadata.example.org", "metadata-1", "mylocalhost"])
def test_a_name_is_judged_later_by_its_addresses(name: str) -> None:
    assert host_fault(name, [ip_network("10.0.0.0/24")]) is None


@given(st.ip_addresses())
def test_an_address_of_a_host_is_public_or_private(address: IPv4Address | IPv6Address) -> None:
    is_private = any(address in each for each in PRIVATE)
    is_there = (is_public(str(address)) or is_private) and str(address) not in METADATA
    inner = getattr(address, "ipv4_mapped", None) or address
    assert (host_fault(str(address)) is None) == is_there or inner != address


@given(st.ip_addresses(v=4))
def test_an_address_inside_of_another_is_judged_as_itself(address: IPv4Address) -> None:
    for around in ("::ffff:0:0", "64:ff9b::"):
        inside = IPv6Address(int(ip_address(around)) | int(address))
        assert (host_fault(str(inside)) is None) == (host_fault(str(address)) is None)


@each_row(
    ("port", "is_free"), [(443, True), (1024, True), (65535, True), (22, False), (80, False), (1023, False)]
)
def test_a_port_of_other_services_is_not_called(port: int, is_free: bool) -> None:
    assert (port_fault(port) is None) == is_free
