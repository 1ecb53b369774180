"""``python -m generator`` is ``llmflake``."""

from generator.cli import main

main()
