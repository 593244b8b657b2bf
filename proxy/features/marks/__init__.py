"""What tells later that this server spoke: inaudible marks, manifests, and the search for them.

`rules` decide which answers get which marks, `mark_filter` marks sound, `provenance_observer` records the
facts of a clip and signs files, `manifests` signs beside them, and `checker` finds all of these. Each
`*_child` is a process.
"""
