"""Join the tokens of several modalities, any of which may be missing."""
