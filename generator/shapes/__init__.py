"""What a model is made of, as numbers: from the catalog, a config.json, a GGUF file's header or the hub's metadata."""
