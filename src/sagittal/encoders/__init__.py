"""Turn one modality into features: picture (2D), volume (3D), text, table (labs, codes, omics)."""
