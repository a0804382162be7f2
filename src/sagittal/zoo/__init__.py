"""The bridge: cards, gates and loaders that turn a study into tensors and tensors into findings."""
