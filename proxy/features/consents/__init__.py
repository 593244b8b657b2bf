"""Consents: a speaker agrees, in a recording or a statement, that a voice is made of their speech.

`records` has the rows, `consent_store` stores and deletes consents, `endpoints` and `commands` call it.
`comparison` compares the speaker of a recording with the speaker who agreed. `hearings` recognises the words
of recordings, and `word_checks` judges those of consents. `grants` gives consents to the features that make
voices.
"""
