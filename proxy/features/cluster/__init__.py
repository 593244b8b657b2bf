"""The cluster: the machines on one database, the keys and the vault that they share, and orders to them."""
