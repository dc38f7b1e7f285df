"""Each file: one ``codec``."""
