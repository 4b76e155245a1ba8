"""The two encodings that newer versions of Kafka's messages share: unsigned varints and tagged fields (KIP-482)."""

from __future__ import annotations

VARINT_BITS_MAX = 35


def skip_tags(frame: memoryview, position: int) -> int:
    """Return where a message goes on after its tagged fields, none of which we use."""
    count, position = read_uvarint(frame, position)
    for _ in range(count):
        _tag, position = read_uvarint(frame, position)
        size, position = read_uvarint(frame, position)
        position += size
    return position


def read_uvarint(frame: memoryview, position: int) -> tuple[int, int]:
    """Return a number and where it ends. Raises: ValueError for one that is too long, IndexError at the frame's end."""
    value, shift = 0, 0
    while shift < VARINT_BITS_MAX:
        byte = frame[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a varint is too long")
