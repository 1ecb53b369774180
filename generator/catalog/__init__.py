"""Facts as data, each with its source and date, and their loader."""
