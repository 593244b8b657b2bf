"""Jobs: speech that outlives its request.

A long text is spoken in steps, each a call of its own that is paid for when its sound is kept.
"""
