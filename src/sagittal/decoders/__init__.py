"""Turn features into answers: labels, grades, survival, masks (dense, prompted, of volumes larger than
memory), and images."""
