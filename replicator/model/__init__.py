"""Nouns: frozen values without IO. Owns the words of the project; never reads, writes or waits."""
