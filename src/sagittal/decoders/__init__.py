"""Turn features into answers: labels, masks, and masks of volumes larger than memory."""
