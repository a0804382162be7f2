"""Turn features into answers: labels, grades, survival, masks (dense, prompted, of volumes larger than
memory), images, and text, which a search writes and a grammar may bind."""
