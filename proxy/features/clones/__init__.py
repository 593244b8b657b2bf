"""Clones: voices that a provider keeps itself, made there, paid for, found again and deleted.

`orders` has what others ask, `maker` works on each wish, `attempt` asks a provider, `bills` say who pays.
Rows and their states are in `records`, `lists` and `uses`; `rules` say what there is to do with one.
"""
