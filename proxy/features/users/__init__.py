"""People: they sign in by mail, and see to their account themselves."""
