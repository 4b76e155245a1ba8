#!/bin/sh
# Formats the storage of a new broker, then becomes it. The same on apache/kafka and on the project's own image.
# CLUSTER: its name on the stage's network; CLUSTER_ID; OUTSIDE_PORT: where this machine reaches it.
set -eu
properties=/etc/kafka-stage/broker.properties
set -- --override "advertised.listeners=INSIDE://$CLUSTER:9092,OUTSIDE://127.0.0.1:$OUTSIDE_PORT"
if [ ! -f /var/lib/kafka/data/meta.properties ]; then
  /opt/kafka/bin/kafka-storage.sh format --cluster-id "$CLUSTER_ID" --config "$properties"
fi
exec /opt/kafka/bin/kafka-server-start.sh "$properties" "$@"
