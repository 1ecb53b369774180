"""How each family of architectures is built: from the keys of its config.json to layers and parameters."""
