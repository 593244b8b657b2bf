"""The models and voices that exist, and the voices and lexicons that accounts save."""
