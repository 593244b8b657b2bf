"""Which ports may be called. What is public: tests/features/webhooks/test_rules.py."""

from policies.network_addresses import port_fault
from tests.tables import each_row


@each_row(
    ("port", "is_free"), [(443, True), (1024, True), (65535, True), (22, False), (80, False), (1023, False)]
)
def test_a_port_of_other_services_is_not_called(port: int, is_free: bool) -> None:
    assert (port_fault(port) is None) == is_free
