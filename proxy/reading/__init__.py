"""The tables of config.toml → the frozen sections of `proxy.sections`: a file for each group of them."""
