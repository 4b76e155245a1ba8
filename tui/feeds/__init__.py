"""Where pictures come from: a live supervisor, or a recording of one.

Owns the threads that ask, their patience and their record. Never touches a widget: whoever paints asks for the
newest picture.
"""

from tui.feeds.base import Feed
from tui.feeds.live import LiveFeed
from tui.feeds.recording import Recorder, ReplayFeed

__all__ = ["Feed", "LiveFeed", "Recorder", "ReplayFeed"]
