"""Consents: a speaker agrees, in a recording or a statement, that a voice is made of their speech.

`records` has the table, `consent_store` the operations, `endpoints` and `commands` call them, `comparison`
compares the speaker of a recording with the speaker who agreed, and `grants` serves the makers of voices.
"""
