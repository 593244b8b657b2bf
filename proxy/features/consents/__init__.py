"""Consents: a speaker agrees, in a recording or a statement, that a voice is made of their speech.

`records` has the table, `consents` what can be done, `endpoints` and `commands` the ways in,
`comparison` whether the speaker of a recording is who agreed, and `grants` what the makers of voices ask.
"""
