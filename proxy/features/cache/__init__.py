"""The audio cache: what an account was given before, kept on disk and given again without an engine.

`cache` looks up, keeps and forgets, `names` say what equal sound is called, `clips` and `memory` have the
clips, `single_flight` let equal requests wait for one, and `records` has the index.
"""
