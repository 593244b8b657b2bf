"""Own voices: voices that accounts and the operator save, of recordings, of other voices, or of an engine's.

`records` are the rows, `seals` their personal texts, `saved_voices` their form for routing. `library_writer`
and `voice_creation` change them, `retention` ends unused ones, `export` returns them. `reference_speech` is a
request that brings its own voice.
"""
