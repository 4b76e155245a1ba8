"""How much memory a JVM gets, how it compiles, and where it logs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# Every client and connector prints its whole configuration at INFO through the first, 1,300 lines a start.
_CHATTY = (
    "org.apache.kafka.common.config.AbstractConfig",
    "org.apache.kafka.common.utils.AppInfoParser",
    "org.apache.kafka.connect.runtime.WorkerInfo",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class JvmProfile:
    """The size and the temper of one JVM.

    `is_quick` starts fast and compiles lightly (C1 only): for tests and demos, never for figures of
    throughput. `extra` are further JVM flags, last so that they win.
    """

    heap_mib: int = 512
    is_quick: bool = False
    extra: tuple[str, ...] = ()

    def flags(self, *, log4j_file: Path) -> tuple[str, ...]:
        """Return the JVM's flags."""
        quick = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC") if self.is_quick else ()
        return (
            f"-Xms{min(64, self.heap_mib)}m",
            f"-Xmx{self.heap_mib}m",
            *quick,
            "-XX:+ExitOnOutOfMemoryError",  # half-alive is worse than dead
            "-XX:-UsePerfData",  # no file in /tmp that a killed JVM leaves behind
            "-Djava.awt.headless=true",
            f"-Dlog4j2.configurationFile={log4j_file}",
            *self.extra,
        )


def log4j_properties(level: str = "INFO") -> str:
    """Return a log4j2 configuration that writes one line an event to standard output."""
    lines = [
        "status=ERROR",
        "appender.out.type=Console",
        "appender.out.name=out",
        "appender.out.layout.type=PatternLayout",
        "appender.out.layout.pattern=%d{yyyy-MM-dd'T'HH:mm:ss.SSSX}{UTC} %-5p [%t] %c{1}: %m%n",
        f"rootLogger.level={level}",
        "rootLogger.appenderRef.out.ref=out",
    ]
    for number, name in enumerate(_CHATTY):
        lines += [f"logger.quiet{number}.name={name}", f"logger.quiet{number}.level=WARN"]
    return "\n".join(lines) + "\n"
