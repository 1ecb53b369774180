"""Commands, one a file; beside ``cli.py`` the only place that prints or exits."""
