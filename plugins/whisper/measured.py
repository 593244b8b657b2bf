"""What was measured of the gallery's models, by their ids: `bench.ears` and `bench.word_times` print it."""

HEARS_WELL = {"base": ("en", "es"), "tiny-en": ("en",)}
"""The languages of which a model hears fewer than 5 words in 100 wrong."""

KNOWN_WORDS_LATE_S = {
    "base": (("en", -0.058), ("es", -0.001), ("fr", -0.01), ("hi", 0.016), ("it", -0.002), ("pt", -0.01))
}
"""By how much a model times known words too late. It is used in these languages alone: in them the 90th
percentile of its errors is at least 30 % less than that of times computed from letters."""
