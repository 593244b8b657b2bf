"""Pure rules: values in, a value out. No I/O, no clock (`now` is an argument), no framework."""
