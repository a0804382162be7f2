"""Objectives that need no labels: contrastive image-text and masked images."""
