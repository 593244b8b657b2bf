"""Erasure: what had an owner goes for good, wherever it is.

`erasure` carries it out, `journal` keeps it when a backup comes back, and `observer` breaks the answers
that speak with an erased voice. That something was erased is the kernel's to know: see storage/tombstones.py.
"""
