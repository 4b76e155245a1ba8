"""Recipes of the project's own images, for machines that can or cannot pull others."""
