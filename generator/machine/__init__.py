# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Programs that run on the machines: the standard library and huggingface_hub, nothing else of llmflake."""
