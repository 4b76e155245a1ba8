"""Connect's JSON and its configs topic, read into values; what does not fit is refused."""

from __future__ import annotations

import pytest

from replicator.connect import answers
from replicator.connect.stored import fold_connectors
from replicator.errors import DataCorrupt
from replicator.model.connectors import ConnectorState

STATUS = {
    "name": "shop.source",
    "connector": {"state": "RUNNING", "worker_id": "w:8083"},
    "tasks": [
        {"id": 1, "state": "FAILED", "worker_id": "w:8083", "trace": "Boom: no\n\tat x"},
        {"id": 0, "state": "RUNNING", "worker_id": "w:8083"},
    ],
    "type": "source",
}


def test_a_status_tells_tasks_in_order_and_the_first_failure() -> None:
    """Tasks come sorted; the first line of a trace says why one failed."""
    status = answers.read_status(STATUS)
    assert [task.id for task in status.tasks] == [0, 1]
    assert status.first_failure() == "Boom: no"
    assert not status.is_wholly(ConnectorState.RUNNING)
    assert not status.is_stopped


def test_stopped_means_stopped_without_tasks() -> None:
    """A connector that is STOPPED but still lists a task is not stopped yet."""
    stopping = {**STATUS, "connector": {"state": "STOPPED", "worker_id": ""}}
    assert not answers.read_status(stopping).is_stopped
    assert answers.read_status({**stopping, "tasks": []}).is_stopped


def test_a_state_we_do_not_know_is_unknown() -> None:
    """A word of a later version of Connect is not taken for one we know."""
    odd = {**STATUS, "connector": {"state": "DANCING", "worker_id": ""}}
    assert answers.read_status(odd).state is ConnectorState.UNKNOWN


def test_the_expanded_list_gives_config_and_status() -> None:
    """One call tells everything; a connector that has no status yet is still listed."""
    found = answers.read_connectors(
        {"a": {"info": {"config": {"k": "v", "n": None}}, "status": STATUS}, "b": {"info": {"config": {}}}}
    )
    assert found["a"].config == {"k": "v"}
    assert found["a"].status is not None
    assert found["b"].status is None


def test_findings_are_the_keys_with_errors() -> None:
    """Validation answers 200 with hundreds of keys; only those with errors are findings."""
    answer = {
        "error_count": 1,
        "configs": [
            {"value": {"name": "good", "errors": []}},
            {"value": {"name": "exactly.once.support", "errors": ["not enabled"]}},
        ],
    }
    assert [(f.key, f.errors) for f in answers.read_findings(answer)] == [("exactly.once.support", ("not enabled",))]


@pytest.mark.parametrize("answer", [None, [], {"name": "x"}, {"name": "x", "connector": []}, "x"])
def test_another_program_at_the_address_is_noticed(answer: object) -> None:
    """An answer of another form raises instead of reading as a connector."""
    with pytest.raises(DataCorrupt):
        answers.read_status(answer)


def test_the_configs_topic_leaves_the_newest_of_each_connector() -> None:
    """Tombstones delete, later records win, STOPPED stands in `state.v2`, tasks are passed over."""
    found = fold_connectors(
        [
            (b"session-key", b'{"key":"x"}'),
            (b"connector-a", b'{"properties":{"topics":"x"}}'),
            (b"target-state-a", b'{"state":"STARTED","state.v2":"STARTED"}'),
            (b"task-a-0", b'{"properties":{}}'),
            (b"connector-a", b'{"properties":{"topics":"y"}}'),
            (b"target-state-a", b'{"state":"PAUSED","state.v2":"STOPPED"}'),
            (b"connector-b", b'{"properties":{"topics":"z"}}'),
            (b"connector-c", b'{"properties":{"topics":"z"}}'),
            (b"connector-c", None),
            (b"target-state-c", None),
        ]
    )
    assert sorted(found) == ["a", "b"]
    assert found["a"].config == {"topics": "y"}
    assert found["a"].is_stopped
    assert found["b"].target_state == "STARTED"


def test_a_damaged_configs_topic_is_refused() -> None:
    """Bytes that are no JSON raise: silence there could hide a connector in the other direction."""
    with pytest.raises(DataCorrupt):
        fold_connectors([(b"connector-a", b"\xff\xfe")])
