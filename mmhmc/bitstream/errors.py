"""The one error of everything that reads a bitstream."""


class BitstreamError(ValueError):
    """A bitstream is damaged, cut short, or not what was expected."""
