"""Own voices: what accounts and the operator save, of recordings, of other voices, or of an engine's.

`records` are the rows, `seals` what in them names a person, `saved_voices` what routing has of them.
`library_writer` and `voice_creation` change them, `retention` ends unused ones, `export` gives them back.
`reference_speech` is a request that brings its own voice.
"""
