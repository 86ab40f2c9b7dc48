"""Grafana's dashboards, generated from a registry and its rules: docs/grafana.md."""
