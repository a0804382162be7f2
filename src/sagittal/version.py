"""The package's version: a room of its own, so that any layer may name it without importing the surface."""

__version__ = "0.1.0"
