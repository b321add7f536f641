"""Tiled token statistics: the kernels of each backend."""
