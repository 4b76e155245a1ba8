"""What a snapshot is, and what a restore is: values of the repository, its manifests and plans."""

__all__: list[str] = []
