"""The doors a flow needs, opened together and closed together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from replicator.connect import ConnectClient
from replicator.kafka import KafkaCluster
from replicator.model.names import TopicName


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowHandles:
    """Both clusters and the Connect beside the target.

    `offsets_topic` is that Connect's; `opposite_configs_topic` is the configs topic of the Connect beside the
    source, None when there is none.
    """

    source: KafkaCluster
    target: KafkaCluster
    connect: ConnectClient
    offsets_topic: TopicName
    opposite_configs_topic: TopicName | None = None

    def close(self) -> None:
        """Let go of all of them."""
        self.source.close()
        self.target.close()
        self.connect.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
