"""Each file: loaders and what is measured on them."""
