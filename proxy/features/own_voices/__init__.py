"""Own voices: voices that accounts and the operator save. They are made of recordings, of other voices, of
trained models, or name an engine's voice.

`records` has their rows, `seals` seals their personal texts, `saved_voices` reads them for routing.
`voice_creation` and `clips` add to them, `library_writer` changes them, `retention` erases unused ones,
`export` returns them. `reference_speech` serves requests that bring the recording of a voice.
"""
