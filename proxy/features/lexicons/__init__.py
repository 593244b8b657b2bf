"""Lexicons: how an account's words are spoken.

`records` has the table, `lexicons` what can be done, `endpoints` and `commands` the ways in. What a
lexicon may have, and how it is used, is in policies/lexicon.py: a request can bring one of its own.
"""
