"""The two networks of a client."""

from policies.networks import networks_of
from tests.tables import each_row


@each_row(
    ("address", "near", "wide"),
    [
        ("198.51.100.7", "198.51.100.7", "198.51.100.0/24"),
        ("::ffff:198.51.100.7", "198.51.100.7", "198.51.100.0/24"),
        ("2001:db8:1:2:ffff::9", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("2001:db8:1:2::%eth0", "2001:db8:1:2::/64", "2001:db8:1::/48"),
        ("unknown", "unknown", "unknown"),
        ("", "", ""),
        ("x" * 5000, "x" * 64, "x" * 64),
    ],
    ids=lambda each: each[:20],
)
def test_a_client_has_a_network_and_a_wider_one(address: str, near: str, wide: str) -> None:
    assert networks_of(address) == (near, wide)
