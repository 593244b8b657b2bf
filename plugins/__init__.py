"""The engines, front-ends and the rest that ship with voxgate: ordinary plugins, each a package."""
