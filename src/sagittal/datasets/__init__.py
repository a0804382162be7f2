"""Labelled data as studies: data folders, and public sets one file each."""
