"""A plan as people and machines want to see it: plan in, text out; the only place that rounds."""
