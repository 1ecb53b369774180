"""The deployment spec: read with positions, checked against the schema, made into frozen dataclasses."""
