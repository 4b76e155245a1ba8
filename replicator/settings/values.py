"""The kinds of value a configuration holds: names, patterns, addresses, references to secrets, schedules."""

from __future__ import annotations

import ipaddress
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from replicator.model.flow import pattern_to_regex
from replicator.model.forms.patterns import find_cost

TOPIC_NAME = re.compile(r"[a-zA-Z0-9._-]{1,249}", re.ASCII)
_TOPIC_GLOB = re.compile(r"[a-zA-Z0-9._*?-]{1,249}", re.ASCII)
_HOST_AND_PORT = re.compile(r"(?:\[[0-9a-fA-F:.]+\]|[a-zA-Z0-9._-]+):(\d{1,5})", re.ASCII)
_HOST_NAME = re.compile(r"(?!.*[.]$)[a-z0-9](?:[a-z0-9.-]{0,252})", re.ASCII)
_LOCAL_NAMES = frozenset({"localhost", "localhost.localdomain"})
_DURATION = re.compile(r"(\d{1,9})([smhdw])", re.ASCII)
_DURATION_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_STORE_SCHEMES = ("file", "s3", "gs", "az", "azure", "abfs", "abfss")


class Section(BaseModel):
    """One section of the configuration: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True, defer_build=True
    )


def refusal(why: str) -> PydanticCustomError:
    """Return the error of a value that cannot be used; `why` is our own sentence."""
    return PydanticCustomError("refused", "{why}", {"why": why})


def check_pattern(pattern: str) -> str:
    """Return the pattern if it can be compiled and handed to Connect, whose lists split at commas."""
    if not pattern or any(ord(char) < 0x20 or ord(char) == 0x7F for char in pattern):
        raise refusal("a pattern is neither empty nor holds control characters")
    if "," in pattern:
        raise refusal("a pattern holds no comma: Kafka Connect splits lists there; write two entries")
    try:
        re.compile(pattern_to_regex(pattern))
    except (re.error, RecursionError, OverflowError) as error:
        raise refusal(f"the regular expression cannot be compiled: {error}") from error
    if pattern.startswith("re:") and (why := find_cost(pattern.removeprefix("re:"))):
        raise refusal(f"{why}: say it with one repeat, or with several patterns")
    return pattern


def check_topic_pattern(pattern: str) -> str:
    """Return the pattern if it compiles and, being a glob, could match a topic's name."""
    check_pattern(pattern)
    if not pattern.startswith("re:") and not _TOPIC_GLOB.fullmatch(pattern):
        raise refusal(
            "no topic can have this name: topics are made of letters, digits, `.`, `_` and `-`;"
            " start a regular expression with `re:`"
        )
    return pattern


def is_literal(pattern: str) -> bool:
    """Whether the pattern is one name and nothing else."""
    return not pattern.startswith("re:") and "*" not in pattern and "?" not in pattern


def check_addresses(text: str) -> str:
    """Return a comma-separated list of host:port without blanks."""
    addresses = [address.strip() for address in text.split(",")]
    for address in addresses:
        check_address(address)
    return ",".join(addresses)


def check_address(address: str) -> str:
    """Return `host:port` if that is what it is; an IPv6 host stands in brackets."""
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found[1]) < 65_536:
        raise refusal(f"{address[:60]!r} is no host:port")
    return address


def check_host_name(name: str) -> str:
    """Return the host's name in lower case, without a port."""
    if not _HOST_NAME.fullmatch(name.lower()):
        raise refusal(f"{name[:60]!r} is no host name: give it without port and without https://")
    return name.lower()


def is_address(name: str) -> bool:
    """Whether `name` is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a server bound to `host` can only be reached from this machine."""
    return host.lower() in _LOCAL_NAMES or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def host_of(listen: str) -> str:
    """Return the host of `host:port`, an IPv6 address without its brackets."""
    return listen.rpartition(":")[0].removeprefix("[").removesuffix("]")


def check_secret_reference(reference: str) -> str:
    """Return the reference; the text itself is never repeated, since it may be the secret."""
    kind, separator, rest = reference.partition(":")
    if not separator or kind not in ("env", "file") or not rest.strip():
        raise refusal("a secret is given by reference: `env:NAME` or `file:/path`, never as text")
    return reference


def check_cron(expression: str) -> str:
    """Return the cron expression if it parses and has a next time."""
    try:
        next(CronSim(expression, datetime(2026, 1, 1, tzinfo=UTC)))
    except (CronSimError, ValueError) as error:
        raise refusal(f"no cron expression: {error}; five fields: minute hour day month weekday") from error
    except StopIteration as error:
        raise refusal("this moment never comes") from error
    return expression


def zone_of(name: str) -> tzinfo:
    """Return the time zone of an IANA name; UTC is known even where no zone data is installed.

    Raises:
        KeyError: no such zone here.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ValueError, OSError) as error:
        raise KeyError(name) from error


def check_zone(name: str) -> str:
    """Return the zone's name if this machine knows it."""
    try:
        zone_of(name)
    except KeyError as error:
        raise refusal(f"{name[:60]!r} is no time zone known here: use an IANA name like Europe/Berlin") from error
    return name


def duration_of(text: str) -> timedelta:
    """Return the duration `7d`, `12h`, `30m`, `90s` or `2w` stands for."""
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise refusal("a duration is a number with s, m, h, d or w")
    try:
        return timedelta(seconds=int(found[1]) * _DURATION_SECONDS[found[2]])
    except OverflowError as error:
        raise refusal("the duration is longer than time can be counted") from error


def check_duration(text: str) -> str:
    """Return the duration's text if it is one."""
    duration_of(text)
    return text


def check_url(url: str) -> str:
    """Return an http or https URL without credentials in it."""
    parts = _split(url)
    if parts[0] not in ("http", "https") or not parts[1]:
        raise refusal("a URL starts with http:// or https:// and names a host")
    if "@" in parts[1]:
        raise refusal("a URL holds no credentials: use username and password, by reference")
    return url.rstrip("/")


def check_store(location: str) -> str:
    """Return a folder's path or an object store's URL, without credentials in it."""
    if not location.strip():
        raise refusal("a store is a folder's path or an object store's URL")
    if "://" not in location:
        return location
    scheme, host = _split(location)
    if scheme not in _STORE_SCHEMES:
        raise refusal(f"a store's URL starts with one of {', '.join(f'{s}://' for s in _STORE_SCHEMES)}")
    if "@" in host and not scheme.startswith("abfs"):
        raise refusal("a store's URL holds no credentials: they come from the environment")
    return location


def connector_text(value: object) -> object:
    """Return a number or a boolean as Connect writes it; anything else unchanged, for its type to be checked."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _split(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        _port = parts.port
    except ValueError as error:
        raise refusal(f"no URL: {error}") from error
    return parts.scheme, parts.netloc


Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=63)]
TopicPattern = Annotated[str, AfterValidator(check_topic_pattern)]
GroupPattern = Annotated[str, AfterValidator(check_pattern)]
Addresses = Annotated[str, AfterValidator(check_addresses)]
Address = Annotated[str, AfterValidator(check_address)]
HostName = Annotated[str, AfterValidator(check_host_name)]
SecretReference = Annotated[str, AfterValidator(check_secret_reference)]
Cron = Annotated[str, AfterValidator(check_cron)]
Zone = Annotated[str, AfterValidator(check_zone)]
Duration = Annotated[str, AfterValidator(check_duration)]
Url = Annotated[str, AfterValidator(check_url)]
Store = Annotated[str, AfterValidator(check_store)]
TopicText = Annotated[str, StringConstraints(pattern=r"^[a-zA-Z0-9._-]{1,249}$")]
ConnectorValue = Annotated[
    str, BeforeValidator(connector_text), WithJsonSchema({"type": ["string", "number", "boolean"]})
]
FilePath = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]+$")]
