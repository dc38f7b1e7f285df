"""Parts of lazy configs; a file defines what its text twin defines."""
