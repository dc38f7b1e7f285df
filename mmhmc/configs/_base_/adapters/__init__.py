"""Each file: one ``adapter``."""
