"""The inverse map: where on the source a group resumes that stands on the copy. Pure, given bounded reads."""

from replicator.offsets.inverse.rules import INVERSE_RULES, invert_offset

__all__ = ["INVERSE_RULES", "invert_offset"]
