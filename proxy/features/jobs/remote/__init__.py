"""Runners: work on rented machines. Each run has a row, which is written before the provider gets its
request. So no run begins twice, and no run is lost."""
