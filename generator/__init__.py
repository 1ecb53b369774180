# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator.
"""llmflake: one deployment spec becomes a Nix flake that serves large language models."""

__version__ = "0.1.0"
