"""Small exact parts: attention, feed-forward, residual convolution, positions, and the features they make."""
