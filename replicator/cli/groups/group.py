"""`replicator group`: list, show, translate, explain, compare and sync consumer groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit
from replicator.errors import NotFound, PartlyDone, PreflightBlocked, ReplicatorError, UsageError

if TYPE_CHECKING:
    from replicator.cli.groups.desk import Desk
    from replicator.clock import Deadline
    from replicator.model.names import GroupName
    from replicator.model.offsets import GroupTranslation

SECONDS = 120.0

Rows = Callable[["Desk", "GroupTranslation", "Deadline"], list[dict[str, Any]]]


def _flow_option(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--flow", "flow_name", metavar="FLOW", help="Ask this flow alone.")(command)


@click.group()
def group() -> None:
    """Consumer groups: where they stand, where they resume on the target, and moving them there."""


@group.command(name="list")
@click.argument("flow_name", metavar="[FLOW]", required=False)
@pass_app
def list_groups(app: App, flow_name: str | None) -> None:
    """List the groups of a flow, or of all, with what moving each would cost."""
    from replicator.cli.groups.desk import flows_to_ask, open_desk
    from replicator.cli.groups.rows import GROUP_COLUMNS

    deadline = app.deadline(SECONDS)
    rows, warnings = [], []
    for flow in flows_to_ask(app, flow_name):
        with open_desk(app, flow, deadline) as desk:
            rows += _group_rows(app, desk, list(desk.groups), deadline) + _share_rows(app, desk, None)
            warnings += _warnings(desk)
    emit("GroupList", output=app.output, items=rows, columns=GROUP_COLUMNS, warnings=warnings)


@group.command()
@click.argument("name", metavar="GROUP")
@_flow_option
@pass_app
def show(app: App, name: str, flow_name: str | None) -> None:
    """Show one group: its state on both sides, its grade, the age of what is known."""
    deadline = app.deadline(SECONDS)
    found: list[dict[str, Any]] = []

    def take(desk: Desk, groups: list[GroupName]) -> None:
        found.extend(_group_rows(app, desk, groups, deadline) if groups else _share_rows(app, desk, name))

    warnings = _for_each_desk(app, name, flow_name, deadline, take, is_share_meant=True)
    emit("GroupList", output=app.output, items=found, warnings=warnings)


@group.command()
@click.argument("name", metavar="GROUP")
@_flow_option
@pass_app
def translate(app: App, name: str, flow_name: str | None) -> None:
    """Show where a group resumes on the target, and how many records it would read twice. Writes nothing."""
    from replicator.cli.groups.rows import TRANSLATION_COLUMNS

    _emit_partitions(app, "TranslationList", name, flow_name, _translation_rows(app), TRANSLATION_COLUMNS)


@group.command()
@click.argument("name", metavar="GROUP")
@_flow_option
@pass_app
def explain(app: App, name: str, flow_name: str | None) -> None:
    """Show why a group resumes where it does: the rule that answered and the numbers it used."""
    from replicator.cli.groups.rows import EXPLAIN_COLUMNS

    _emit_partitions(app, "TranslationList", name, flow_name, _translation_rows(app), EXPLAIN_COLUMNS)


@group.command()
@click.argument("name", metavar="GROUP")
@_flow_option
@pass_app
def compare(app: App, name: str, flow_name: str | None) -> None:
    """Show a group's positions on both sides; above 0 in AHEAD, the target would skip records."""
    from replicator.cli.groups.rows import COMPARE_COLUMNS, comparison_row
    from replicator.offsets import compare_group

    def rows(desk: Desk, answer: GroupTranslation, deadline: Deadline) -> list[dict[str, Any]]:
        on_target = desk.on_target([answer.group], deadline)[answer.group]
        now = app.clock.now()
        return [comparison_row(found, now=now) for found in compare_group(answer, on_target)]

    _emit_partitions(app, "ComparisonList", name, flow_name, rows, COMPARE_COLUMNS)


@group.command()
@click.argument("name", metavar="GROUP", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every group of the flow, or of all flows.")
@_flow_option
@click.option("-y", "--yes", "is_agreed", is_flag=True, help="Do not ask.")
@pass_app
def sync(app: App, name: str | None, flow_name: str | None, *, is_all: bool, is_agreed: bool) -> None:
    """Write translated positions on the target; a group with members there is refused."""
    from replicator.cli.groups.rows import SYNC_COLUMNS

    if (name is None) is not is_all:
        raise UsageError("group sync: give a GROUP, or --all", hint="replicator group sync --help")
    app.confirm_moderate(f"Commit positions of {name or 'all groups'} on the target", is_agreed=is_agreed)
    deadline = app.deadline(SECONDS)
    rows: list[dict[str, Any]] = []
    warnings = _for_each_desk(
        app, name, flow_name, deadline, lambda desk, groups: rows.extend(_sync(desk, groups, deadline, is_all=is_all))
    )
    emit("GroupSyncList", output=app.output, items=rows, columns=SYNC_COLUMNS, warnings=warnings)
    undone = [row["group"] for row in rows if row["outcome"] != "done"]
    if undone:
        raise PartlyDone(
            f"{len(undone)} of {len(rows)} groups were not moved, or not whole: {', '.join(undone[:10])}",
            hint="replicator group list",
        )


@group.command()
@click.argument("name", metavar="GROUP", required=False)
@click.option("--all", "is_all", is_flag=True, help="Every group of the flow, or of all flows.")
@_flow_option
@pass_app
def export(app: App, name: str | None, flow_name: str | None, *, is_all: bool) -> None:
    """Print translated positions as CSV for kafka-consumer-groups --reset-offsets --from-file. Writes nothing."""
    from replicator.cli.groups.reset_file import reset_rows, show_reset_file

    if (name is None) is not is_all:
        raise UsageError("group export: give a GROUP, or --all", hint="replicator group export --help")
    deadline = app.deadline(SECONDS)
    moved: list[GroupTranslation] = []
    warnings = _for_each_desk(
        app, name, flow_name, deadline, lambda desk, groups: moved.extend(desk.translate(groups, deadline))
    )
    rows, left_out = reset_rows(moved)
    emit("GroupPositionList", output=app.output, items=rows, view=show_reset_file(rows), warnings=warnings + left_out)


def _sync(desk: Desk, groups: list[GroupName], deadline: Deadline, *, is_all: bool) -> list[dict[str, Any]]:
    desk.require_standby(deadline)
    return [_sync_one(desk, answer, deadline, is_all=is_all) for answer in desk.translate(groups, deadline)]


def _sync_one(desk: Desk, answer: GroupTranslation, deadline: Deadline, *, is_all: bool) -> dict[str, Any]:
    from replicator.offsets import commit_group

    unavailable = sum(t.target_offset is None for t in answer.translations)
    written, outcome = 0, f"{unavailable} partitions unavailable" if unavailable else "done"
    try:
        written = len(commit_group(desk.target, answer, deadline))
    except PreflightBlocked as exc:
        if not is_all:
            raise
        outcome = exc.message
    return {
        "flow": answer.flow,
        "group": answer.group,
        "grade": answer.grade,
        "reread_records_max": answer.reread_records_max,
        "partitions": len(answer.translations),
        "written": written,
        "outcome": outcome,
    }


def _emit_partitions(
    app: App, kind: str, name: str, flow_name: str | None, rows: Rows, columns: tuple[Column, ...]
) -> None:
    deadline = app.deadline(SECONDS)
    found: list[dict[str, Any]] = []

    def take(desk: Desk, groups: list[GroupName]) -> None:
        for answer in desk.translate(groups, deadline):
            found.extend({"flow": answer.flow, "group": answer.group, **row} for row in rows(desk, answer, deadline))

    warnings = _for_each_desk(app, name, flow_name, deadline, take)
    emit(kind, output=app.output, items=found, columns=columns, warnings=warnings)


def _for_each_desk(
    app: App,
    name: str | None,
    flow_name: str | None,
    deadline: Deadline,
    act: Callable[[Desk, list[GroupName]], None],
    *,
    is_share_meant: bool = False,
) -> list[str]:
    """Act on the group, or on every group, at the desk of each flow that moves it; return the warnings.

    Raises:
        NotFound: no flow moves a group of that name. Unreachable, AccessDenied: a flow's target cannot be read.
    """
    from replicator.cli.groups.desk import flows_to_ask, open_desk, unknown_group
    from replicator.cli.groups.rows import SHARE_NOTE

    flows = flows_to_ask(app, flow_name)
    warnings: list[str] = []
    has_acted = False
    for flow in flows:
        with open_desk(app, flow, deadline) as desk:
            groups = [g for g in desk.groups if name in (None, g)]
            if groups or (is_share_meant and name in desk.shares):
                act(desk, groups)
                has_acted = True
            elif name in desk.shares:
                raise NotFound(f"group {name}: {SHARE_NOTE}", hint=f"replicator group show {name}")
            warnings += _warnings(desk)
    if name is not None and not has_acted:
        raise _with_warnings(unknown_group(name, flows), warnings)
    return warnings


def _with_warnings(error: ReplicatorError, warnings: list[str]) -> ReplicatorError:
    error.detail = "; ".join(warnings) or None
    return error


def _warnings(desk: Desk) -> list[str]:
    if desk.source is not None:
        return []
    return [f"flow {desk.flow.name}: {desk.flow.source} does not answer; positions are those last observed"]


def _translation_rows(app: App) -> Rows:
    def rows(_desk: Desk, answer: GroupTranslation, _deadline: Deadline) -> list[dict[str, Any]]:
        from replicator.cli.groups.rows import translation_row

        now = app.clock.now()
        return [translation_row(found, now=now) for found in answer.translations]

    return rows


def _group_rows(app: App, desk: Desk, groups: list[GroupName], deadline: Deadline) -> list[dict[str, Any]]:
    from replicator.cli.groups.rows import group_row

    answers = desk.translate(groups, deadline)
    on_target = desk.on_target(groups, deadline)
    now = app.clock.now()
    return [
        group_row(a, desk.groups[a.group], on_target[a.group], known_from=desk.known_from, now=now) for a in answers
    ]


def _share_rows(app: App, desk: Desk, name: str | None) -> list[dict[str, Any]]:
    """Return the groups that the flow would move if there were anything to move."""
    from replicator.cli.groups.rows import share_row

    now = app.clock.now()
    found = [one for group, one in sorted(desk.shares.items()) if name in (None, group)]
    return [share_row(desk.flow.name, one, known_from=desk.known_from, now=now) for one in found]
