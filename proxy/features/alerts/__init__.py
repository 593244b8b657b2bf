"""Alerts: an operator gets a mail when something needs a person, and one when it is over."""
