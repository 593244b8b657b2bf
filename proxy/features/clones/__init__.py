"""Clones: voices that a provider stores: made there, paid for, found again and deleted.

`orders` serves other features, `clone_tasks` runs each task, `attempt` calls a provider, `bills` charge.
`records`, `lists` and `uses` have the rows and their states; `rules` choose the next step of a clone.
"""
