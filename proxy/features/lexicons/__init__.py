"""Lexicons: the pronunciation of words, for an account.

`records` has the table and its operations, which `endpoints` and `commands` call. The form and
use of a lexicon are in policies/lexicon.py, because a request can bring its own.
"""
