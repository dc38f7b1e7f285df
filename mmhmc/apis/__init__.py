"""What tools and users call."""
