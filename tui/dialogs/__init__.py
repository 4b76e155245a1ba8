"""Dialogs over a screen: help, the acts there are, and the typed confirmation of one."""

from tui.dialogs.acts import ActsDialog, Chosen
from tui.dialogs.confirm import Confirmation, ConfirmDialog
from tui.dialogs.help import HelpDialog

__all__ = ["ActsDialog", "Chosen", "ConfirmDialog", "Confirmation", "HelpDialog"]
