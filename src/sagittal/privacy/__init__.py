"""De-identification: what names a person is taken out before anything leaves the house."""
