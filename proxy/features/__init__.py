"""A folder for each feature; `all` lists them."""
