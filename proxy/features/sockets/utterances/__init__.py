"""Utterances: one answer of an agent, spoken in pieces while its text comes. A session of a socket has one at
a time, or several; it adds text, and its `UtteranceListener` gets the sound."""
