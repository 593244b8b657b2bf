"""Work that outlives a kill: each wish is a row, which is taken up again and again until it is done."""
