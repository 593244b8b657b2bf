"""The engine that converts recordings into trained voices with RVC, many at once."""
