"""Fit a module to an iterator of tensors: loop, schedule, objectives, checkpoints."""
