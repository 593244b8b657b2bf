"""Requests and their answers on a server that can have no other machine."""

from tests.proxy.http.described import Exchange

EXCHANGES = (
    Exchange("list_machines", "GET", "/admin/machines"),
    Exchange("list_hosts", "GET", "/admin/hosts"),
    Exchange("rotate_ring", "POST", "/admin/marking/rotations", {"ring": "keys"}, 409),
)
