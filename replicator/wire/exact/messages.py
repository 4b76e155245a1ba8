"""The calls of a transaction, in the form that clients before KIP-890 speak: brokers from 2.1 to 4.x accept it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from kafka.protocol.metadata import FindCoordinatorRequest, FindCoordinatorResponse
from kafka.protocol.producer import (
    AddPartitionsToTxnRequest,
    AddPartitionsToTxnResponse,
    EndTxnRequest,
    EndTxnResponse,
    InitProducerIdRequest,
    InitProducerIdResponse,
)

from replicator.model.names import TopicPartition
from replicator.wire.answers import ProducedPartition, ProducerIdentity
from replicator.wire.messages import Call, call_produce

_TRANSACTION = 1
"""The kind of coordinator that is asked for."""


def call_find_transaction_coordinator(transactional_id: str) -> Call[tuple[int, int]]:
    """Ask for a transaction's coordinator: an error code and the broker's id."""
    return Call(
        "FindCoordinator", FindCoordinatorRequest.API_KEY, 1, 3,
        lambda version: FindCoordinatorRequest(version=version, key=transactional_id, key_type=_TRANSACTION),
        FindCoordinatorResponse,
        lambda answer: (answer.error_code, answer.node_id),
    )  # fmt: skip


def call_init_transactions(transactional_id: str, *, timeout_ms: int) -> Call[ProducerIdentity]:
    """Ask for the producer id of a transactional id; what is open under it is aborted, its holder fenced."""
    return Call(
        "InitProducerId", InitProducerIdRequest.API_KEY, 0, 4,
        lambda version: InitProducerIdRequest(
            version=version, transactional_id=transactional_id, transaction_timeout_ms=timeout_ms),
        InitProducerIdResponse,
        lambda answer: ProducerIdentity(answer.error_code, answer.producer_id, answer.producer_epoch),
    )  # fmt: skip


def call_add_partitions(
    transactional_id: str, identity: ProducerIdentity, partitions: Iterable[TopicPartition]
) -> Call[dict[TopicPartition, int]]:
    """Ask the coordinator to take partitions into the transaction; an error code of each comes back."""
    topic_type = AddPartitionsToTxnRequest.AddPartitionsToTxnTopic
    by_topic: dict[str, list[int]] = {}
    for tp in sorted(partitions):
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    return Call(
        "AddPartitionsToTxn", AddPartitionsToTxnRequest.API_KEY, 0, 3,
        lambda version: AddPartitionsToTxnRequest(
            version=version, v3_and_below_transactional_id=transactional_id,
            v3_and_below_producer_id=identity.producer_id, v3_and_below_producer_epoch=identity.producer_epoch,
            v3_and_below_topics=[
                topic_type(version=version, name=topic, partitions=own) for topic, own in by_topic.items()]),
        AddPartitionsToTxnResponse,
        lambda answer: {
            TopicPartition(topic.name, p.partition_index): p.partition_error_code
            for topic in answer.results_by_topic_v3_and_below for p in topic.results_by_partition
        },
    )  # fmt: skip


def call_end_transaction(transactional_id: str, identity: ProducerIdentity, *, is_committed: bool) -> Call[int]:
    """Ask the coordinator to end the transaction; an error code comes back, before any marker is written."""
    return Call(
        "EndTxn", EndTxnRequest.API_KEY, 0, 3,
        lambda version: EndTxnRequest(
            version=version, transactional_id=transactional_id, producer_id=identity.producer_id,
            producer_epoch=identity.producer_epoch, committed=is_committed),
        EndTxnResponse,
        lambda answer: int(answer.error_code),
    )  # fmt: skip


def call_produce_in_transaction(
    transactional_id: str, batches: Mapping[TopicPartition, bytes], *, timeout_ms: int
) -> Call[tuple[ProducedPartition, ...]]:
    """Append one batch per partition within the transaction, acknowledged by all in-sync replicas."""
    plain = call_produce(batches, timeout_ms=timeout_ms)

    def build(version: int) -> Any:
        message = plain.build(version)
        message.transactional_id = transactional_id
        return message

    return replace(plain, build=build)
