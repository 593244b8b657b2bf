"""A folder for each feature. `proxy/feature_list.py` lists them."""
