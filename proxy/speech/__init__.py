"""One request, spoken: from its body to the bytes of its answer and its settlement.

`speech_request` parses, `planning` plans, `candidate_race` finds an engine that speaks,
`candidate_stream` gives the sound, and `pipeline` puts them in order.
"""
