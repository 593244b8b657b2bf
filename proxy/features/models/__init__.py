"""Models: fetched from galleries or other places, checked, converted once, and stored with a manifest.
`listing` has the models of all galleries, and `pulling` fetches one: `fetching` files, `wheels` packages.
`importing` reads and stores the files, and `natural_voices` chooses the first models of a server."""
