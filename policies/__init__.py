"""Pure rules that store nothing: prices, limits, routing, languages. No I/O, no clock: `now` is given."""
