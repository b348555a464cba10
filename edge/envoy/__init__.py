"""Envoy: its configurations, and the supervised process."""
