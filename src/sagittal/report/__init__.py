"""The language of radiology: codes, findings, reports, readings, and the way between them and text."""
