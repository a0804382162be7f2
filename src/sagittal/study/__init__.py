"""One examination: its images with their geometry, and what is known about the patient."""
