# Managed by llmflake: copied unchanged into every generated flake (nix/programs).
"""Programs that run on the machines: the standard library, huggingface_hub, httpx, prometheus_client; none of ours."""
