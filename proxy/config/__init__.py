"""config.toml as frozen sections, with the readers that check them; addresses and secrets."""
