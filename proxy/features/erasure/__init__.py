"""Erasure: deletes an owner's data for good, in every place.

`erasure` runs it, `journal` repeats it after a backup is restored, and `feature` breaks the answers that
speak with an erased voice. See `tombstone_rows.py`.
"""
