"""The reading room: a worklist, a viewer, a draft that a radiologist reviews and signs."""
