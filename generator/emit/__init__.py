"""From a checked spec to the files of a flake, and from those to a directory."""
