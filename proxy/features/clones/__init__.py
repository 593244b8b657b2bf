"""Clones: copies of voices that a provider makes of recordings, stores, and speaks with.

`orders` accepts orders of clones, `clone_tasks` runs each task, `attempt` calls a provider, `bills` charges.
`records` has the rows of clones, `counts` counts them, and `rules` chooses the next step of a clone.
"""
