"""Marks: what tells later that a machine spoke: inaudible marks, manifests, receipts, and their search.

`rules` decide which answers get what, `mark_filter` marks sound, `tap` notes the facts of a clip and signs
files, `manifests` sign beside them, and `checker` finds all of it again. Each `*_child` is a process.
"""
