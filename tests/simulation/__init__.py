"""A seeded world in which the real runbooks run against clusters and a Connect in memory, disturbed on purpose.

    brokers   what a cluster holds: logs with transactions, groups, rules, owners of transactional ids
    wires     what may happen to a call: lost, late, twice, a kill, a pause, a step of the wall clock
    ports     the doors of `replicator.kafka` upon such a cluster; `connect` is Connect and its MirrorMaker
    stage     what a seed makes: records, groups, rules, an order
    play      one seed: processes begin, die and go on until the operation is over; `judge` says what must hold
    plants    faults of the product, put in on purpose: each must be found

The seam is `KafkaCluster` and `ConnectClient`, as the steps use them. Everything above is the product's own code.
"""
