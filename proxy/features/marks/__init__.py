"""Marks: what tells later that a machine spoke: inaudible marks, manifests, receipts, and their search.

`rules` decide which answers get what, `mark_filter` marks sound, `provenance_observer` notes the facts of a
clip and signs files, `manifests` sign beside them, and `checker` finds all of it.
Each `*_child` is a process.
"""
