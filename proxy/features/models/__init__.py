"""Models: fetched from galleries or from elsewhere, checked, converted once, and kept with a manifest.

`listing` has the models of all galleries, and `pulling` fetches one: `fetching` files, `wheels` packages.
`importing` reads the files and keeps what comes of them, `natural_voices` chooses what a server begins with.
"""
