"""What values become outside: text safe for a terminal, figures for people, plain JSON."""

__all__: list[str] = []
