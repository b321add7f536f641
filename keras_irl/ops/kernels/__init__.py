"""Token statistics tile by tile, in the loops of each backend."""
