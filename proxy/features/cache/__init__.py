"""The audio cache: what an account was given before, kept on disk and given again without an engine.

`cache` looks up, keeps and forgets, `names` say what equal sound is called, `shelf` and `memory` have the
clips, `flights` let equal requests wait for one, and `records` has the index.
"""
