"""Observers: each asks one cluster or one Connect and leaves a frozen sample on the board. They decide nothing."""

__all__: list[str] = []
