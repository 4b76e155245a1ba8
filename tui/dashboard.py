"""The dashboard: screens over one picture, painted once a second."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar, Literal

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from replicator.api.schema import ActRequest, SnapshotView
from replicator.clock import SYSTEM_CLOCK
from replicator.errors import ReplicatorError
from replicator.model.forms.text import safe_text
from tui.acts import ACTS, MOVES, RESTORE, KnownAct
from tui.board import WINDOWS_SECONDS, Board
from tui.dialogs import (
    ActsDialog,
    Chosen,
    Confirmation,
    ConfirmDialog,
    ExportDialog,
    HelpDialog,
    JumpDialog,
    MoveDialog,
    RestoreAsked,
    RestoreDialog,
)
from tui.dialogs.export import Exported, file_name, to_csv, to_rows_json, write_new
from tui.feeds import Feed
from tui.picture import Contact
from tui.screens import SCREENS, BoardScreen
from tui.theme import Glyphs

TICK_SECONDS = 0.25
FIRST_TICK_SECONDS = 0.03
"""How often it is looked whether the first status has come: nobody waits for more than that."""
FIRST_SECONDS_MAX = 15.0
PAINT_SECONDS = 1.0
ACCEPTS: tuple[Literal["split-brain", "stale-groups", "loss"], ...] = ("split-brain", "stale-groups", "loss")


class Dashboard(App[None]):
    """One dashboard over one feed. It ends when the user says so, and for no other reason."""

    CSS_PATH = "dashboard.tcss"
    TITLE = "replicator"
    MODES: ClassVar[dict[str, type[Screen[None]]]] = {screen.TITLE_TEXT: screen for screen in SCREENS}  # type: ignore[assignment]  # textual wants a wider type
    DEFAULT_MODE = SCREENS[0].TITLE_TEXT
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(place), f"go('{screen.TITLE_TEXT}')", show=False) for place, screen in enumerate(SCREENS, 1)),
        Binding("f", "next_flow(1)", show=False),
        Binding("F", "next_flow(-1)", show=False),
        Binding("t", "next_window", show=False),
        Binding("u", "next_unit", show=False),
        Binding("p", "hold", show=False),
        Binding("r", "refresh_now", show=False),
        Binding("z", "time_zone", show=False),
        Binding("y", "copy_name", show=False),
        Binding("Y", "copy_command", show=False),
        Binding("a", "acts", show=False),
        Binding("o", "jump", show=False),
        Binding("colon,ctrl+p", "command_palette", show=False),
        Binding("question_mark,f1", "show_help", show=False),
        Binding("q", "quit", show=False),
    ]

    def __init__(
        self,
        feed: Feed,
        *,
        is_acting_allowed: bool = False,
        glyphs: Glyphs | None = None,
        caption: Callable[[], str] | None = None,
        is_following: bool = False,
    ) -> None:
        super().__init__()
        self.board = Board(feed=feed, glyphs=glyphs or Glyphs(), is_acting_allowed=is_acting_allowed, caption=caption)
        if is_following:
            self.board.window_seconds = WINDOWS_SECONDS[0]
        self._is_following = is_following
        self._followed: str | None = None
        self._trail: list[str] = []
        self._begun: list[str] = []
        self._is_leave_told = False
        self._painted: object = None
        self._painted_at = 0.0

    def on_mount(self) -> None:
        """Begin to listen, and to paint."""
        self.board.feed.start()
        self._first = self.set_interval(
            FIRST_TICK_SECONDS, self._tick_first, repeat=int(FIRST_SECONDS_MAX / FIRST_TICK_SECONDS)
        )
        self.set_interval(TICK_SECONDS, self._tick)

    def on_unmount(self) -> None:
        """Stop listening."""
        self.board.feed.close()

    def _tick_first(self) -> None:
        """Paint the first status as soon as it is there."""
        if self.board.feed.picture.status is not None:
            self._first.stop()
            self._tick()

    def _tick(self) -> None:
        """Paint what is new, once a second at most, and the ages every second."""
        if self._is_following:
            self._follow()
        now = self.board.feed.now()
        is_due = now - self._painted_at >= PAINT_SECONDS
        is_first = self._painted is None and self.board.feed.picture.status is not None
        if is_due or is_first or self._has_news():
            self._painted, self._painted_at = self.board.feed.picture.status, now
            self.paint()

    def _follow(self) -> None:
        """Go to the runbook of an operation that begins, once: whoever then goes elsewhere stays there."""
        running = self.board.feed.picture.newest_operation()
        if running is not None and running.ended_at is None and running.id != self._followed:
            self._followed = running.id
            self._show_operation(running.id)

    def _has_news(self) -> bool:
        """Whether contact or a part that is looked at has come since the last paint: that is not waited for."""
        picture, shown = self.board.feed.picture, self.board.picture
        return not self.board.is_paused and (picture.contact is not shown.contact or picture.parts != shown.parts)

    def paint(self) -> None:
        """Paint the screen that is looked at, also under a dialog."""
        for screen in self.screen_stack:
            if isinstance(screen, BoardScreen):
                screen.paint()

    @property
    def may_act(self) -> bool:
        """Whether acts can be asked for: allowed here, and offered to us there."""
        return self.why_not_act() is None

    def why_not_act(self) -> str | None:
        """Return why no act can be asked for now; None when one can."""
        picture = self.board.picture
        if not self.board.is_acting_allowed:
            return "read-only: start the dashboard with --allow-actions"
        if picture.contact is not Contact.CONNECTED:
            return "no contact to the supervisor: run the command in a shell instead"
        if picture.session is None or not picture.session.acts:
            return "the supervisor offers us nothing: it takes a token with the role operator"
        return None

    def say(self, text: str, *, is_bad: bool = False) -> None:
        """Show one line for a moment."""
        self.notify(safe_text(text), severity="error" if is_bad else "information", timeout=6, markup=False)

    def action_go(self, title: str) -> None:
        """Go to a screen, and remember where from."""
        if title != self.current_mode:
            self._trail = [*self._trail, self.current_mode][-10:]
            self.switch_mode(title)

    def go_back(self) -> None:
        """Go to the screen before."""
        if self._trail:
            self.switch_mode(self._trail.pop())

    def action_next_flow(self, step: int) -> None:
        """Look at the next flow."""
        self.board.next_flow(step)
        self.paint()

    def action_next_window(self) -> None:
        """Look at the next window of time."""
        self.board.next_window()
        self.paint()

    def action_next_unit(self) -> None:
        """Show lag in the other unit."""
        self.board.next_unit()
        self.paint()

    def action_hold(self) -> None:
        """Hold the picture still, or let it go on."""
        self.board.is_paused = not self.board.is_paused
        self.paint()

    def action_refresh_now(self) -> None:
        """Ask for everything now."""
        self.board.feed.refresh()
        self.say(f"asking {self.board.feed.where}")

    def action_time_zone(self) -> None:
        """Show times in UTC, or local."""
        self.board.is_local_time = not self.board.is_local_time
        self.paint()

    def _screen(self) -> BoardScreen | None:
        found = [screen for screen in self.screen_stack if isinstance(screen, BoardScreen)]
        return found[-1] if found else None

    def action_copy_name(self) -> None:
        """Copy the name under the cursor, made safe to paste."""
        screen = self._screen()
        if screen is not None and (copied := safe_text(screen.copied())):
            self.copy_to_clipboard(copied)
            self.say(f"copied {copied}")

    def action_copy_command(self) -> None:
        """Copy this screen as a command line."""
        screen = self._screen()
        if screen is not None:
            self.copy_to_clipboard(screen.command())
            self.say(f"copied: {screen.command()}")

    def action_show_help(self) -> None:
        """Show every key."""
        if not isinstance(self.screen, HelpDialog):
            self.push_screen(HelpDialog(self.board.glyphs))

    def action_jump(self) -> None:
        """Offer every screen and flow by a key of its own."""
        if isinstance(self.screen, BoardScreen):
            status = self.board.picture.status
            flows = [flow.flow for flow in status.flows] if status is not None else []
            self.push_screen(JumpDialog([screen.TITLE_TEXT for screen in SCREENS], flows), self._jump)

    def _jump(self, place: tuple[str, str] | None) -> None:
        if place is None:
            return
        kind, title = place
        if kind == "screen":
            self.action_go(title)
            return
        self.board.flow, self.board.group, self.board.operation = title, None, None
        if (screen := self._screen()) is not None and screen.table is not None:
            screen.table.move_to(title)
        self.paint()

    def export(self, exported: Exported) -> None:
        """Ask for the kind of file, and write it."""
        self.push_screen(ExportDialog(exported), lambda kind: self._write(exported, kind))

    def _write(self, exported: Exported, kind: str | None) -> None:
        if kind is None:
            return
        self.call_after_refresh(self._write_now, exported, kind)

    def _write_now(self, exported: Exported, kind: str) -> None:
        """Write what is on the screen now that the dialog is gone from it."""
        texts = {"csv": to_csv, "json": to_rows_json}
        text = texts[kind](exported) if kind in texts else self.export_screenshot(title="replicator")
        path = Path.cwd() / file_name(exported.screen, kind, SYSTEM_CLOCK.now())
        try:
            write_new(path, text)
        except ReplicatorError as error:
            self.say(str(error), is_bad=True)
        else:
            self.say(f"wrote {path}")

    def action_acts(self) -> None:
        """Offer the acts on the flow that is looked at."""
        flow = self.board.flow
        if not isinstance(self.screen, BoardScreen):
            return
        if flow is None:
            self.say(self.why_not_act() or "there is no flow to act on", is_bad=True)
            return
        session = self.board.picture.session
        offered = session.acts if session is not None else ()
        self.push_screen(ActsDialog(flow, offered=offered, why_not=self.why_not_act()), self._confirm)

    def _confirm(self, chosen: Chosen | None) -> None:
        status = self.board.picture.status
        flow = status.flow(chosen.flow) if chosen is not None and status is not None else None
        if chosen is None or flow is None:
            return
        if chosen.act in MOVES:
            move = MoveDialog(chosen.act, flow, look=self.board.look, glyphs=self.board.glyphs, why_not=self._why_not)
            self.push_screen(move, self._begin)
            return
        why_not = self._why_not(chosen.act)
        self.push_screen(ConfirmDialog(chosen.act, flow, glyphs=self.board.glyphs, why_not=why_not), self._begin)

    def restore(self, snapshot: SnapshotView) -> None:
        """Ask what of a snapshot to bring back, and where to."""
        status, flow = self.board.picture.status, snapshot.flow or self.board.flow
        if status is None or flow is None:
            return
        known = status.flow(flow)
        flow = self.board.flow or flow if known is None else flow
        clusters = tuple(sorted({end.cluster for one in status.flows for end in (one.source, one.target)}))
        dialog = RestoreDialog(snapshot, flow=flow, clusters=clusters, why_not=self._why_not(RESTORE))
        self.push_screen(dialog, self._begin_restore)

    def _begin_restore(self, asked: RestoreAsked | None) -> None:
        if asked is not None and self.may_act:
            request = ActRequest(reason="asked in the dashboard", restore=asked.order)
            self._ask_aside(RESTORE, asked.flow, request)

    def _why_not(self, act: KnownAct) -> str | None:
        """Return why an act cannot be asked for now; None when it can."""
        session = self.board.picture.session
        is_offered = session is not None and act.name in session.acts
        not_offered = f"this supervisor does not offer {act.name}: run the command in a shell"
        return self.why_not_act() or (None if is_offered else not_offered)

    def _begin(self, confirmed: Confirmation | None) -> None:
        if confirmed is None or not self.may_act:
            return
        request = ActRequest(
            confirm=confirmed.typed if confirmed.act.is_severe else None,
            reason="asked in the dashboard",
            accept=tuple(what for what in ACCEPTS if what in confirmed.accepted),
        )
        self._ask_aside(confirmed.act, confirmed.flow, request)

    def _ask_aside(self, act: KnownAct, flow: str, request: ActRequest) -> None:
        self.run_worker(lambda: self._ask(act, flow, request), thread=True, exit_on_error=False, group="acts")

    def _ask(self, act: KnownAct, flow: str, request: ActRequest) -> None:
        try:
            begun = self.board.feed.begin(act.name, flow=flow, request=request)
        except ReplicatorError as error:
            told = f"{act.name} was not begun: {error}"
            self.call_from_thread(self.say, told, is_bad=True)
        else:
            self._begun, self._is_leave_told = [*self._begun, begun.id][-20:], False
            self.call_from_thread(self._show_operation, begun.id)

    async def action_quit(self) -> None:
        """End the dashboard; while an act that was begun here runs, only when asked twice."""
        known = self.board.feed.picture.operations
        running = [id_ for id_ in self._begun if id_ in known and known[id_].ended_at is None]
        if running and not self._is_leave_told:
            self._is_leave_told = True
            self.say(f"{running[-1]} goes on without the dashboard: q again quits")
            return
        self.exit()

    def _show_operation(self, operation_id: str) -> None:
        self.board.operation = operation_id
        self.action_go("Runbook")

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Yield what the palette offers: screens, keys, and each act on the flow that is looked at."""
        del screen
        for place, one in enumerate(SCREENS, 1):
            yield SystemCommand(
                f"Go to {one.TITLE_TEXT}", f"key {place}", lambda one=one: self.action_go(one.TITLE_TEXT)
            )
        yield SystemCommand("Help", "every key and word", self.action_show_help)
        yield SystemCommand("Copy as command", "this screen as a command line", self.action_copy_command)
        yield SystemCommand("Refresh", "ask for everything now", self.action_refresh_now)
        yield SystemCommand("Hold the picture", "and let it go on again", self.action_hold)
        for act in ACTS:
            yield SystemCommand(f"Act: {act.name}", act.says, lambda act=act: self._offer(act))
        yield SystemCommand("Quit", "an operation goes on without the dashboard", self.exit)

    def _offer(self, act: KnownAct) -> None:
        if self.board.flow is not None:
            self._confirm(Chosen(act, self.board.flow))
