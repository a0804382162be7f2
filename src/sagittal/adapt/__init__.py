"""Fit a model to a little local data."""
