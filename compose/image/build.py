"""Builds the project's own images: `python -m compose.image.build [--pull] [kafka] [s3] [replicator]`.

Without `--pull` everything comes from this machine and no registry is asked. With it, the supervisor
is installed on python:3.11-slim and the S3 server stands on apache/kafka; Kafka itself then needs no building.
Prints one image name a line on stdout.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import docker
from docker.errors import BuildError, DockerException

from compose.image import layout
from compose.image.machine import CannotLayOut
from replicator.errors import ReplicatorError
from replicator.jvm.jarstore.jarlist import find_jar_set

_FOLDER = Path(__file__).parent
_BUILD_SECONDS = 600


def version_of(set_name: str, artifact: str) -> str:
    """Return the version of an artifact in one of our jar sets."""
    coordinates = (jar.coordinate.split(":") for jar in find_jar_set(set_name).jars)
    return next(version for _, name, version in coordinates if name == artifact)


# `localhost/` keeps a missing image from being looked for in a public registry under a stranger's name.
KAFKA_IMAGE = f"localhost/replicator-kafka:{version_of('kafka', 'connect-runtime')}"
S3_IMAGE = f"localhost/replicator-s3:{version_of('s3proxy', 's3proxy')}"
REPLICATOR_IMAGE = "localhost/replicator:latest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One image: its name, its Dockerfile, what lays out its context, and what the Dockerfile is told."""

    image: str
    dockerfile: str
    lay_out: Callable[[Path], None]
    arguments: Mapping[str, str] = field(default_factory=dict)


LOCAL = {
    "kafka": Recipe(image=KAFKA_IMAGE, dockerfile="kafka.Dockerfile", lay_out=layout.lay_out_kafka),
    "s3": Recipe(
        image=S3_IMAGE, dockerfile="s3.Dockerfile", lay_out=layout.lay_out_s3, arguments={"BASE": KAFKA_IMAGE}
    ),
    "replicator": Recipe(
        image=REPLICATOR_IMAGE, dockerfile="replicator-local.Dockerfile", lay_out=layout.lay_out_replicator
    ),
}
PULLING = {
    "s3": Recipe(image=S3_IMAGE, dockerfile="s3.Dockerfile", lay_out=layout.lay_out_s3),
    "replicator": Recipe(
        image=REPLICATOR_IMAGE, dockerfile="replicator.Dockerfile", lay_out=layout.lay_out_sources_to_install
    ),
}


def build_image(recipe: Recipe) -> str:
    """Leave the image built and return its id; layers that are the same as last time are taken from the cache."""
    with tempfile.TemporaryDirectory(prefix="replicator-image-") as folder:
        context = Path(folder)
        recipe.lay_out(context)
        shutil.copyfile(_FOLDER / recipe.dockerfile, context / "Dockerfile")
        engine = docker.from_env(timeout=_BUILD_SECONDS)
        try:
            image, _ = engine.images.build(
                path=str(context), tag=recipe.image, rm=True, forcerm=True, buildargs=dict(recipe.arguments)
            )
        finally:
            engine.close()
    return str(image.id)


def main(argv: list[str]) -> int:
    """Build what is asked for, in an order in which each finds what it stands on."""
    parser = argparse.ArgumentParser(prog="python -m compose.image.build", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which images, of {', '.join(LOCAL)}; all without any")
    parser.add_argument("--pull", action="store_true", help="stand on images of a registry")
    options = parser.parse_args(argv)
    recipes = PULLING if options.pull else LOCAL
    if unknown := set(options.names) - set(recipes):
        parser.error(f"no recipe for {', '.join(sorted(unknown))}; there are {', '.join(recipes)}")
    try:
        for name in options.names or recipes:
            build_image(recipes[name])
            print(recipes[name].image, flush=True)
    except BuildError as exc:
        lines = "".join(str(part.get("stream", part.get("error", ""))) for part in exc.build_log)
        print(f"{lines}\n{exc}", file=sys.stderr)
        return 1
    except (DockerException, ReplicatorError, CannotLayOut) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
