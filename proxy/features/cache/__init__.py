"""The audio cache: an account gets a stored answer again, and no engine speaks.

`cache` is the entry, `names` names equal sound, `clips` and `clip_store` hold the files, `single_flight` lets
equal requests wait for one, and `records` has the index.
"""
