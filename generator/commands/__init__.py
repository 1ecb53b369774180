"""Commands that are too long for cli.py, a file each."""
