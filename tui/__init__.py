"""The dashboard in a terminal: a client of a supervisor's API, and of nothing else.

Owns what is seen and which key does what. Never talks to Kafka, never computes a figure the API does not give,
never ends because a connection is lost, and acts only where it was started with --allow-actions.
"""

__all__: list[str] = []
