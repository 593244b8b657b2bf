"""Lexicons: the pronunciation of words, for an account.

`records` has the table, `lexicon_store` the operations, `endpoints` and `commands` call them. The form and
use of a lexicon are in policies/lexicon.py, because a request can bring its own.
"""
