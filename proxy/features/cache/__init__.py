"""The audio cache: its keys name all that changes a sound (`names`), and equal keys get the stored clip.

`cache` is the entry, `clips` and `clip_store` hold the files, `single_flight` lets
equal requests wait for one, and `records` has the index.
"""
