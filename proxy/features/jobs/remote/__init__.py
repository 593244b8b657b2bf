"""Runners: work on machines that are rented for it.

A row says that a run begins before its provider is asked, so none begins twice and none is forgotten.
"""
