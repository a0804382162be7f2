"""A world whose truth is known: anatomy, lesions, acquisition, identities, words, cohorts."""
