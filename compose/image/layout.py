"""Lays out the build context of each image: a folder that `docker build` needs nothing else for."""

from __future__ import annotations

from pathlib import Path

from compose.image.machine import copy_file, copy_tree, lay_out_root
from compose.image.python import ROOT, interpreter, lay_out_packages, lay_out_python, lay_out_sources, standard_library
from replicator.jvm import jars, java_executable, show_download

_TOOLS = {
    "connect-distributed.sh": "org.apache.kafka.connect.cli.ConnectDistributed",
    "kafka-server-start.sh": "kafka.Kafka",
    "kafka-storage.sh": "kafka.tools.StorageTool",
    "kafka-topics.sh": "org.apache.kafka.tools.TopicCommand",
    "kafka-consumer-groups.sh": "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
    "kafka-console-consumer.sh": "org.apache.kafka.tools.consumer.ConsoleConsumer",
    "kafka-console-producer.sh": "org.apache.kafka.tools.ConsoleProducer",
}
"""The scripts of Kafka's layout that the compose file and people call, and what each runs."""

_TOOL = '#!/bin/sh\nexec /opt/kafka/bin/kafka-run-class.sh {main_class} "$@"\n'
_RUN_CLASS = """\
#!/bin/sh
# The same variables as Kafka's own script; the class path is every jar of the image.
: "${KAFKA_HEAP_OPTS:=-Xms64m -Xmx512m}"
: "${KAFKA_LOG4J_OPTS:=-Dlog4j2.configurationFile=/opt/kafka/config/log4j2.yaml}"
exec "$JAVA_HOME/bin/java" $KAFKA_HEAP_OPTS $KAFKA_JVM_PERFORMANCE_OPTS $KAFKA_LOG4J_OPTS $KAFKA_OPTS \\
  -cp "${CLASSPATH:+$CLASSPATH:}/opt/kafka/libs/*" "$@"
"""
_LOG4J = """\
Configuration:
  status: ERROR
  Appenders:
    Console:
      name: out
      PatternLayout:
        pattern: "%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %-5p [%t] %c{1}: %m%n"
  Loggers:
    Root:
      level: INFO
      AppenderRef:
        - ref: out
"""

_LOGBACK = """\
<configuration>
  <appender name="out" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d{yyyy-MM-dd'T'HH:mm:ss.SSSX, UTC} %-5level [%thread] %logger{0}: %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="out"/></root>
</configuration>
"""
"""Without it the S3 server writes every step of every request, and is 20 times slower for it."""


def lay_out_kafka(context: Path) -> None:
    """Leave in `context` a Kafka with broker, Connect and MirrorMaker 2 on the paths of Kafka's official image."""
    runtime = java_executable().parents[1]
    with show_download() as progress:
        files = jars("kafka", progress=progress)
    lay_out_root(context / "rootfs", programs=[runtime])
    copy_tree(runtime, context / "jre")
    for file in files:
        copy_file(file, context / "kafka" / "libs" / file.name)
    _write_script(context / "kafka" / "bin" / "kafka-run-class.sh", _RUN_CLASS)
    for name, main_class in _TOOLS.items():
        _write_script(context / "kafka" / "bin" / name, _TOOL.format(main_class=main_class))
    (context / "kafka" / "config").mkdir()
    (context / "kafka" / "config" / "log4j2.yaml").write_text(_LOG4J, encoding="ascii")
    _make_kept(context / "data" / "data")


def lay_out_s3(context: Path) -> None:
    """Leave in `context` the jars of an S3 server, to be put on top of an image that has a Java runtime."""
    with show_download("S3Proxy's jars") as progress:
        files = jars("s3proxy", progress=progress)
    for file in files:
        copy_file(file, context / "libs" / file.name)
    (context / "logback.xml").write_text(_LOGBACK, encoding="ascii")
    _make_kept(context / "data")


def lay_out_replicator(context: Path) -> None:
    """Leave in `context` this Python, the packages installed for it, and the project's sources."""
    lay_out_packages(context / "packages")
    lay_out_python(context / "python")
    lay_out_sources(context / "sources")
    lay_out_root(context / "rootfs", programs=[interpreter(), standard_library(), context / "packages"])
    _make_kept(context / "home")


def lay_out_sources_to_install(context: Path) -> None:
    """Leave in `context` what pip needs to install the project from its hashed lock."""
    for name in ("pyproject.toml", "requirements.lock", "README.md", "LICENSE"):
        copy_file(ROOT / name, context / name)
    copy_file(ROOT / "requirements" / "build.lock", context / "requirements" / "build.lock")
    for package in ("replicator", "tui"):
        copy_tree(ROOT / package, context / package)


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="ascii")
    path.chmod(0o755)


def _make_kept(folder: Path) -> None:
    """Make a folder that a build context carries although nothing is in it."""
    folder.mkdir(parents=True)
    (folder / ".keep").touch()
