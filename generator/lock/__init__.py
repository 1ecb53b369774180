"""Pins: what the names of a spec mean today, and the file that remembers it."""
