"""Lazy configs that are whole."""
