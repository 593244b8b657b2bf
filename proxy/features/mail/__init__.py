"""Mails to people: rows that are written in the commit of their cause, and sent by any worker."""
