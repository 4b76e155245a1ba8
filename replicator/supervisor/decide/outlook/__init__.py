"""What may come, decided from what is: what a failover would cost now, and whether the source is lost."""

__all__: list[str] = []
