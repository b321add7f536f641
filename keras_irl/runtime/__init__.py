"""Processes, devices and signals: where a program runs, and who watches it."""
