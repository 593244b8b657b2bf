"""Runners: work on rented machines. A row is written before its provider gets a request, so no run begins
twice and none is lost."""
