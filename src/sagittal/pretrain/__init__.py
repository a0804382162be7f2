"""Objectives that need no labels, from hidden blocks and words to reports and the edits of reports."""
