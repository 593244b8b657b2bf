"""The cluster: the machines on one database, what they share, and orders to them."""
