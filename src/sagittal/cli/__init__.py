"""The command line: one thin file a verb; the only room that prints."""
