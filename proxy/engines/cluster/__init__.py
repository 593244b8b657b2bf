"""Engines on other machines: certificates, and the Watch between a gateway and a host."""
