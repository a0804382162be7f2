"""What radiology asks of models: each task depends on a capability, never on a family."""
