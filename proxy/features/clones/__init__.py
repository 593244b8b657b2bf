"""Clones: voices that a provider keeps itself, made there, paid for, found again and deleted.

`orders` serves other features, `clone_tasks` runs each task, `attempt` asks a provider, `bills` charge.
Rows and their states are in `records`, `lists` and `uses`; `rules` say what there is to do with one.
"""
