"""Metrics on plain arrays."""
