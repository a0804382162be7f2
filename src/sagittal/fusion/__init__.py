"""Join the tokens of several modalities, any of which may be missing.

Early (one trunk over all tokens), intermediate (cross-attention; a resampler to a fixed number of tokens),
late (predictions of each modality combined), and the modality dropout that trains all of them.
"""
