"""Engines on other machines: the hosts of a cluster, as its gateways see them."""
