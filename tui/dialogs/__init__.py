"""Dialogs over a screen: help, jump, export, the acts there are, a move or a restore before it is begun."""

from tui.dialogs.acts import ActsDialog, Chosen
from tui.dialogs.confirm import Confirmation, ConfirmDialog
from tui.dialogs.export import ExportDialog
from tui.dialogs.help import HelpDialog
from tui.dialogs.jump import JumpDialog
from tui.dialogs.move import MoveDialog
from tui.dialogs.restore import RestoreAsked, RestoreDialog

__all__ = [
    "ActsDialog",
    "Chosen",
    "ConfirmDialog",
    "Confirmation",
    "ExportDialog",
    "HelpDialog",
    "JumpDialog",
    "MoveDialog",
    "RestoreAsked",
    "RestoreDialog",
]
