"""Each file: loops, optimiser and hooks."""
