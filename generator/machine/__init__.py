# Managed by llmflake: copied unchanged into every generated flake, as nix/programs/generator/machine.
"""What runs on the machine itself: asking a server, judging its answer, readiness and the watchdog.

Imports nothing else of generator, and beyond the standard library only httpx and prometheus_client.
"""
