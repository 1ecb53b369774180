"""Draws the generated dashboards with Grafana's own components, over a real Prometheus that holds an invented day."""
