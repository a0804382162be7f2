"""DICOM objects: images, segmentations, structured reports; read and written."""
