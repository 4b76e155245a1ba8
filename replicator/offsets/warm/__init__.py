"""The warm map: places by the million, without reading and without evidence."""

from replicator.offsets.warm.places import WarmPlaces

__all__ = ["WarmPlaces"]
