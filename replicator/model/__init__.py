"""Nouns: frozen values without IO. Owns the words of the project; never reads, writes or waits.

`forms/` is what values become outside, `supervision/` what a supervisor tells, `archive/` what snapshots are.
"""

__all__: list[str] = []
