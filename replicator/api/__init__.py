"""The HTTP face: the supervisor's last `Status` and its events for other programs, and the client they use.

Owns the routes, the models of what travels, who may ask for what, and the typed client of the command line and
the dashboard. Never reads a cluster, never computes a figure: it serves what its source holds.
"""

__all__: list[str] = []
