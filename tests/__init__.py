"""The tests: one file a module, one behaviour a test."""
