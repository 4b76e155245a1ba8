"""`replicator config`: is the configuration usable, what does it say, and where did each value come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from replicator.cli.context import App, pass_app
from replicator.cli.output import Column, emit, to_yaml

if TYPE_CHECKING:
    from replicator.settings import Settings


@click.group()
def config() -> None:
    """Validate, show and describe the configuration."""


@config.command()
@click.option("--secrets", "is_resolving", is_flag=True, help="Also fetch every secret and certificate, here and now.")
@pass_app
def validate(app: App, is_resolving: bool) -> None:
    """Check every key and how the sections fit together; talks to no cluster."""
    settings = app.settings
    if is_resolving:
        resolve_everything(settings)
    item = {
        "path": settings.path,
        "is_valid": True,
        "clusters": settings.clusters,
        "flows": [flow.name for flow in settings.flows],
        "schedules": list(settings.snapshots.schedules),
        "are_secrets_checked": is_resolving,
    }
    emit("ConfigReport", item=item, output=app.output, warnings=advice_for(settings))


@config.command()
@click.option("--origin", "is_with_origin", is_flag=True, help="One line a key, with where its value came from.")
@pass_app
def show(app: App, is_with_origin: bool) -> None:
    """Print the configuration in force, defaults included; secrets stay references."""
    settings = app.settings
    if is_with_origin:
        columns = [
            Column("KEY", lambda origin: origin.key),
            Column("VALUE", lambda origin: origin.value),
            Column("ORIGIN", lambda origin: origin.origin),
        ]
        emit("ConfigValue", items=settings.origins(), columns=columns, output=app.output)
        return
    from rich.text import Text

    from replicator.model.forms.plain import to_plain

    document = to_plain(settings.document)
    emit("Config", item=document, view=Text(to_yaml(document)), output=app.output)


@config.command()
@pass_app
def schema(app: App) -> None:
    """Print the JSON Schema (2020-12) of the configuration file, for editors and checkers."""
    from rich.text import Text

    from replicator.model.forms.plain import to_json
    from replicator.settings import json_schema

    document = json_schema()
    emit("ConfigSchema", item=document, view=Text(to_json(document, indent=2)), output=app.output)


@config.command()
@pass_app
def path(app: App) -> None:
    """Print which configuration file is read, and where it was looked for."""
    from replicator.settings import candidate_paths, find_config

    found = find_config(app.config, app.environ)
    item = {
        "path": found,
        "exists": found is not None and found.is_file(),
        "candidates": list(candidate_paths(app.environ)),
    }
    emit("ConfigPath", item=item, output=app.output)


def resolve_everything(settings: Settings) -> None:
    """Return once every secret and certificate was fetched.

    Raises:
        ConfigInvalid: one cannot be had.
    """
    for name in settings.clusters:
        settings.cluster_access(name)
        settings.mirror_access(name)
    for cluster in settings.document.connect:
        settings.connect_of(cluster)
    settings.signing_key()
    settings.api_serving()
    settings.api_reach()


def advice_for(settings: Settings) -> list[str]:
    """Return what is allowed, yet better otherwise."""
    document = settings.document
    return [
        *(
            f"clusters.{name} has no cluster_id: a wrong cluster at the right address goes unseen"
            for name, cluster in document.clusters.items()
            if cluster.cluster_id is None
        ),
        *(
            f"flows.{flow.name} has no objectives: nothing can be judged"
            for flow in settings.flows
            if flow.objectives == type(flow.objectives)()
        ),
        *(["there are no flows yet: nothing is replicated"] if not settings.flows else []),
    ]
