"""What pytest does with this suite beyond its own rules; `tests/conftest.py` registers each part."""
