"""Planted bugs: each is a mistake somebody could make, put in place for the length of a `with`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from unittest.mock import patch

from replicator.offsets import anchors, ground, points, ranks, rules, scene
from replicator.offsets.inverse import counting, spot
from replicator.offsets.inverse import rules as inverse
from replicator.offsets.ranks import Bracket, Window
from replicator.offsets.reads import Visible

Mutant = Callable[[ExitStack], None]


def _wrap(stack: ExitStack, where: object, name: str, change: Callable[..., object]) -> None:
    """Replace `where.name` by `change(original, *args, **kwargs)`."""
    original = getattr(where, name)

    def changed(*args: object, **kwargs: object) -> object:
        return change(original, *args, **kwargs)

    stack.enter_context(patch.object(where, name, changed))


def skip_by_one(stack: ExitStack) -> None:
    """Land one behind every true point."""

    def change(original: Callable[..., rules.Place], *args: object) -> rules.Place:
        place = original(*args)
        is_point = place.rule in ("sync_point", "after_sync_point")
        return replace(place, target_offset=place.target_offset + 1) if is_point else place

    _wrap(stack, rules, "_at_point", change)


def bend_across_stretches(stack: ExitStack) -> None:
    """Take all points for one stretch."""
    stack.enter_context(patch.object(points.PartitionMap, "starts_of", lambda _self, _kind: []))


def trust_equal_spans(stack: ExitStack) -> None:
    """Interpolate where both sides are equally long, whatever lies between."""

    def change(
        original: Callable[..., Window | None], offset: int, bracket: Bracket, visible: Visible
    ) -> Window | None:
        if bracket.span == bracket.target_to - bracket.target_from:
            at = sum(o < bracket.target_from + offset - bracket.source_from for o in visible.offsets)
            return Window(at, at)
        return original(offset, bracket, visible)

    _wrap(stack, scene, "rank_window", change)


def trust_any_span(stack: ExitStack) -> None:
    """Take the distance on the source for the distance in records."""
    stack.enter_context(
        patch.object(scene, "rank_window", lambda g, b, v: Window(*[min(g - b.source_from, len(v)) - 1] * 2))
    )


def forget_holes_in_the_tail(stack: ExitStack) -> None:
    """Take the tail for whole."""

    def change(original: Callable[..., Window | None], *args: object, **kwargs: object) -> Window | None:
        found = original(*args, **kwargs)
        return found and replace(found, low=found.high)

    _wrap(stack, scene, "tail_window", change)


def believe_the_second_sweep(stack: ExitStack) -> None:
    """Send a group that has read all to the end as it is after the positions were read."""

    def change(original: Callable[..., rules.Place | None], offset: int, on: ground.Ground) -> rules.Place | None:
        place = original(offset, on)
        now = on.standing.target_now
        return place and now and replace(place, target_offset=now.end, rereads=0)

    _wrap(stack, rules, "_end_of_mirror", change)


def end_one_early(stack: ExitStack) -> None:
    """Take the last mirrored offset for the next one."""

    def change(original: Callable[..., rules.Place | None], offset: int, on: ground.Ground) -> rules.Place | None:
        return original(offset, replace(on, mirrored=None if on.mirrored is None else on.mirrored - 1))

    _wrap(stack, rules, "_end_of_mirror", change)


def believe_in_haste(stack: ExitStack) -> None:
    """Use a stretch before the flow has passed what the older one held."""
    stack.enter_context(patch.object(ground, "_passed_at", lambda points, start, _ends, _reads: points.targets[start]))


def ignore_a_set_position(stack: ExitStack) -> None:
    """Overlook that the mirrored position is behind the map."""
    stack.enter_context(patch.object(ground, "_stepped_back", lambda points, _mirrored: points))


def ignore_hidden_restarts(stack: ExitStack) -> None:
    """Take every point for certain under at-least-once."""
    stack.enter_context(patch.object(ground, "_certain_points", lambda points, _ends: points))


def trust_a_gap(stack: ExitStack) -> None:
    """Count records across missing history."""
    stack.enter_context(patch.object(points.PartitionMap, "has_gap_before", lambda _self, _index: False))


def forget_what_was_stored_again(stack: ExitStack) -> None:
    """Leave duplicates out of the bound."""
    stack.enter_context(patch.object(rules, "_stored_again", lambda _ground, _lineage: 0))


def forget_what_gaps_hide(stack: ExitStack) -> None:
    """Leave out of the bound what may have been stored twice where history is missing."""
    stack.enter_context(patch.object(rules, "_hidden_in_gaps", lambda _points, _index: 0))


def forget_what_is_in_flight(stack: ExitStack) -> None:
    """Take all that is mirrored for visible."""
    stack.enter_context(patch.object(ground.Ground, "in_flight", 0))


def count_on_a_compacted_copy(stack: ExitStack) -> None:
    """Rank records of a copy that compaction has thinned."""
    stack.enter_context(patch.object(ground.Ground, "is_ranked", True))


def count_on_a_compacted_source(stack: ExitStack) -> None:
    """Take what compaction left of the source for what the flow read."""
    stack.enter_context(patch.object(scene.Scene, "is_source_whole", True))


def count_on_a_trimmed_copy(stack: ExitStack) -> None:
    """Rank from the lower point although retention has passed it."""

    def change(original: Callable[..., scene.Scene], **kwargs: object) -> scene.Scene:
        return original(**kwargs | {"is_trimmed": False})

    _wrap(stack, rules, "Scene", change)


def order_at_least_once(stack: ExitStack) -> None:
    """Rank records of a flow that may store them twice."""
    stack.enter_context(patch.object(rules, "_is_followed_in_order", lambda _index, _ground: True))


def match_twins(stack: ExitStack) -> None:
    """Take the first record of equal content for the one that is meant."""
    stack.enter_context(
        patch.object(anchors, "_unique", lambda visible: {p: i for i, p in reversed([*enumerate(visible.prints)])})
    )


def match_older_twins(stack: ExitStack) -> None:
    """Use anchors above the offset although an older twin may be meant."""
    stack.enter_context(patch.object(scene.Scene, "is_twin_excluded", True))


def use_points_not_visible_yet(stack: ExitStack) -> None:
    """Use points beyond the last stable offset."""
    stack.enter_context(patch.object(points.PartitionMap, "until_target", lambda self, _offset: self))


def floor_for_nothing(stack: ExitStack) -> None:
    """Call the floor free of charge."""

    def change(original: Callable[..., rules.Place], *args: object) -> rules.Place:
        return replace(original(*args), rereads=0)

    _wrap(stack, rules, "_floor", change)


def clamp_nothing(stack: ExitStack) -> None:
    """Let a position lie outside the log."""
    stack.enter_context(patch.object(rules, "_clamped", lambda place, _ground: place))


def compacted_lower_bound_too_high(stack: ExitStack) -> None:
    """Forget that a thinned bracket may have had holes on the source."""

    def change(_original: object, offset: int, bracket: Bracket, visible: Visible) -> Window:
        at = sum(o < bracket.target_from + offset - bracket.source_from for o in visible.offsets)
        return Window(at, max(at, ranks.untrusted_window(bracket, visible, in_flight=0).high))

    _wrap(stack, scene, "compacted_window", change)


def come_back_one_late(stack: ExitStack) -> None:
    """Resume one behind the place that was counted."""

    def change(original: Callable[..., spot.Home], *args: object) -> spot.Home:
        home = original(*args)
        return spot.Home(home.low + 1, home.low + 1)

    _wrap(stack, counting, "_behind", change)


def come_back_behind_the_point_above(stack: ExitStack) -> None:
    """Take the next true point for read."""

    def change(original: Callable[..., spot.Answer], *args: object) -> spot.Answer:
        found = original(*args)
        return replace(found, source_offset=found.source_offset + (found.rule == "sync_point"))

    _wrap(stack, inverse, "_in_bracket", change)


def come_back_across_stretches(stack: ExitStack) -> None:
    """Take all points for one stretch."""
    stack.enter_context(patch.object(points.PartitionMap, "starts_of", lambda _self, _kind: []))


def come_back_as_if_in_order(stack: ExitStack) -> None:
    """Rank between points whatever lies between them."""
    stack.enter_context(patch.object(spot.Spot, "is_ordered", True))


def come_back_by_equal_spans(stack: ExitStack) -> None:
    """Interpolate behind the lower point, whatever lies between."""

    def change(_original: object, seen: spot.Scene) -> tuple[str, spot.Home]:
        at = seen.spot.source_from + seen.spot.at - seen.spot.target_from
        return "rank", spot.Home(at, at)

    _wrap(stack, counting, "_base_home", change)


def come_back_from_a_copy_taken_for_whole(stack: ExitStack) -> None:
    """Count what compaction or retention has left as if it were all."""
    stack.enter_context(patch.object(spot.Scene, "is_copy_whole", True))


def come_back_to_a_source_taken_for_whole(stack: ExitStack) -> None:
    """Count what compaction has left of the source as if it were all."""
    stack.enter_context(patch.object(spot.Scene, "is_source_whole", True))


def come_back_forgetting_older_lineages(stack: ExitStack) -> None:
    """Leave out of the bound what was read before the flow went back."""
    stack.enter_context(patch.object(inverse, "read_in_older_lineages", lambda _home, _spot, _reads: 0))


def come_back_forgetting_this_lineage(stack: ExitStack) -> None:
    """Leave out of the bound what was read since the place the flow went back to."""
    stack.enter_context(patch.object(inverse, "read_from", lambda _home, _spot, _reads: 0))


def come_back_from_an_unsettled_end(stack: ExitStack) -> None:
    """Take all that is mirrored for read at the end of what was visible."""
    stack.enter_context(patch.object(spot.Spot, "is_settled", True))


INVERSE_MUTANTS: tuple[Mutant, ...] = (
    come_back_one_late,
    come_back_behind_the_point_above,
    come_back_across_stretches,
    come_back_as_if_in_order,
    come_back_by_equal_spans,
    come_back_from_a_copy_taken_for_whole,
    come_back_to_a_source_taken_for_whole,
    come_back_forgetting_older_lineages,
    come_back_forgetting_this_lineage,
    come_back_from_an_unsettled_end,
)

MUTANTS: tuple[Mutant, ...] = (
    skip_by_one,
    bend_across_stretches,
    trust_equal_spans,
    trust_any_span,
    forget_holes_in_the_tail,
    believe_the_second_sweep,
    end_one_early,
    believe_in_haste,
    ignore_a_set_position,
    ignore_hidden_restarts,
    trust_a_gap,
    forget_what_was_stored_again,
    forget_what_gaps_hide,
    forget_what_is_in_flight,
    count_on_a_compacted_copy,
    count_on_a_compacted_source,
    count_on_a_trimmed_copy,
    order_at_least_once,
    match_twins,
    match_older_twins,
    use_points_not_visible_yet,
    floor_for_nothing,
    clamp_nothing,
    compacted_lower_bound_too_high,
)


@contextmanager
def planted(mutant: Mutant) -> Iterator[None]:
    """Plant a bug for the length of the `with`."""
    with ExitStack() as stack:
        mutant(stack)
        yield
