"""Keeps a standby Kafka cluster ready to take over, and proves it.

The house, top to bottom; each room may use only what stands below it:

    cli, api          faces: terminal and HTTP (the dashboard lives in `tui/`)
    supervisor        loops: observe, decide, act, record; one frozen Status
    settings          YAML to typed configuration
    failover          runbooks: lists of steps, and the engine that runs them
    flow offsets snapshot   desired to actual; offset maps; point-in-time copies
    journal           what must survive us, in Kafka topics on the standby
    lab               embedded clusters for demo, tests and drills
    kafka wire connect worker storage   the doors to the world
    jvm http          JRE and jars; one HTTP client
    model log errors clock   nouns, words and time
"""

__version__ = "0.1.0"
