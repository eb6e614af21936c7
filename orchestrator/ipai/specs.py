"""Connectors and instances: YAML files in Git, validated, as frozen values.

No I/O besides reading files. The JSON Schema `catalogs/connector.schema.json` says what a file may hold; what one file
cannot know (does that connector exist? do two instances write the same tables?) is checked over the whole folder.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, Literal, cast

from jsonschema import Draft202012Validator

from ipai.errors import SpecError
from ipai.references import is_reference
from ipai.resources import resource
from ipai.schedule import schedule_problems
from ipai.singer_catalog import catalog_problems, parse_catalog
from ipai.yaml_files import YamlFile, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from jsonschema import ValidationError

Role = Literal["source", "destination"]


@dataclass(frozen=True)
class PluginSpec:
    """How a plugin's executable comes to be.

    `install` holds absolute folders and requirements, the plugin itself first; empty means that the command is on PATH.
    """

    command: str
    install: tuple[str, ...] = ()
    constraints: Path | None = None
    python: str | None = None
    discover: bool = True
    catalog_option: str = "--catalog"


@dataclass(frozen=True)
class Connector:
    """What exists: one source or destination and the plugin that speaks to it."""

    name: str
    role: Role
    title: str
    plugin: PluginSpec
    config: Mapping[str, Any]
    secrets: frozenset[str]
    origin: Path  # the folder its relative paths start from
    spec: Mapping[str, Any]  # the file as it stands
    state_settings: Mapping[str, Any] = field(default_factory=dict)  # of a destination that can keep the STATE itself
    backfill: Mapping[str, str] = field(default_factory=dict)  # the tap's settings named `from` and `to`
    max_running: int | None = None


@dataclass(frozen=True)
class StreamRule:
    """Which streams an instance syncs, and what differs from their catalog entries."""

    pattern: str
    replication_method: str | None = None
    replication_key: str | None = None
    key_properties: tuple[str, ...] | None = None
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True)
class End:
    """One end of a pipeline: a connector and the settings on top of the connector's own."""

    connector: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class ScheduleSpec:
    """When an instance runs, as declared; see `ipai.schedule`."""

    cron: str
    name: str = "default"
    time_zone: str = "UTC"
    jitter_seconds: int = 0
    catch_up: str = "one"
    blackouts: tuple[Mapping[str, Any], ...] = ()
    streams: tuple[str, ...] | None = None
    full_refresh: bool = False


@dataclass(frozen=True)
class RetentionRule:
    """How long rows of some streams stay in Bronze: by a column, and after they were marked as deleted.

    `archive` is the folder that they go to before they are deleted.
    """

    pattern: str
    keep_days: int | None = None
    by: str = "_sdc_extracted_at"
    deleted_days: int | None = None
    archive: str | None = None


@dataclass(frozen=True)
class Instance:
    """What runs: a source into a destination."""

    name: str
    source: End
    destination: End
    streams: tuple[StreamRule, ...]
    schedules: tuple[ScheduleSpec, ...]
    sla_tier: str
    spec: Mapping[str, Any]
    parallelism: int = 1
    together: tuple[tuple[str, ...], ...] = ()
    retention: tuple[RetentionRule, ...] = ()  # the first that fits a stream counts


@dataclass(frozen=True)
class Catalogs:
    """Everything a folder declares, by name."""

    connectors: Mapping[str, Connector]
    instances: Mapping[str, Instance]


def connector_from_spec(spec: Mapping[str, Any], origin: Path) -> Connector:
    """Build a connector from a valid spec; relative paths in it start at `origin`."""
    plugin = spec["plugin"]
    install = plugin.get("install", [])
    constraints = plugin.get("constraints")
    return Connector(
        name=spec["name"],
        role=spec["role"],
        title=spec["title"],
        plugin=PluginSpec(
            command=plugin["command"],
            install=tuple(
                str((origin / item).resolve()) if item.startswith((".", "/")) else item
                for item in ([install] if isinstance(install, str) else install)
            ),
            constraints=(origin / constraints).resolve() if constraints else None,
            python=plugin.get("python"),
            discover=plugin.get("discover", True),
            catalog_option=plugin.get("catalog_option", "--catalog"),
        ),
        config=spec.get("config", {}),
        secrets=frozenset(spec.get("auth", {}).get("secrets", ())),
        origin=origin,
        spec=spec,
        state_settings=spec.get("state_in_destination", {}),
        backfill=spec.get("backfill", {}),
        max_running=spec.get("max_running"),
    )


def instance_from_spec(spec: Mapping[str, Any]) -> Instance:
    """Build an instance from a valid spec."""

    def end(value: Mapping[str, Any]) -> End:
        return End(value["connector"], value.get("config", {}))

    def rule(value: str | Mapping[str, Any]) -> StreamRule:
        if isinstance(value, str):
            return StreamRule(value)
        keys = value.get("key_properties")
        return StreamRule(
            pattern=value["stream"],
            replication_method=value.get("replication_method"),
            replication_key=value.get("replication_key"),
            key_properties=None if keys is None else tuple(keys),
            exclude=frozenset(value.get("exclude", ())),
        )

    return Instance(
        name=spec["name"],
        source=end(spec["source"]),
        destination=end(spec["destination"]),
        streams=tuple(rule(item) for item in spec.get("streams", ())),
        schedules=tuple(_schedules(spec.get("schedule"))),
        sla_tier=spec.get("sla_tier", "standard"),
        spec=spec,
        parallelism=spec.get("parallelism", 1),
        together=tuple(tuple(group) for group in spec.get("together", ())),
        retention=tuple(map(_retention_rule, spec.get("retention", ()))),
    )


def _retention_rule(value: Mapping[str, Any]) -> RetentionRule:
    def days(key: str) -> int | None:
        return int(value[key].split()[0]) if key in value else None

    return RetentionRule(
        value["stream"], days("keep"), value.get("by", RetentionRule.by), days("deleted"), value.get("archive")
    )


def _schedules(value: Any) -> Iterator[ScheduleSpec]:
    for each in value if isinstance(value, list) else [value] if value is not None else []:
        if isinstance(each, str):
            yield ScheduleSpec(each)
            continue
        streams = each.get("streams")
        yield ScheduleSpec(
            cron=each["cron"],
            name=each.get("name", "default"),
            time_zone=each.get("time_zone", "UTC"),
            jitter_seconds=each.get("jitter", 0),
            catch_up=each.get("catch_up", "one"),
            blackouts=tuple(each.get("blackout", ())),
            streams=None if streams is None else tuple(streams),
            full_refresh=each.get("full_refresh", False),
        )


def load_catalogs(folder: Path, known: Mapping[str, Connector] | None = None) -> Catalogs:
    """Read and check every spec under a folder (or one file).

    Args:
        folder: every `.yaml` and `.yml` below it is read, and every `catalog.json` checked.
        known: connectors that instances may name besides the folder's own; those that come with the platform
            when left out.

    Raises:
        SpecError: with every problem found, a line each, as `file:line: key: problem`.
    """
    if known is None:
        known = builtin_connectors()
    if not folder.exists():
        raise SpecError(f"{folder}: no such file or folder")
    paths = [folder] if folder.is_file() else sorted({*folder.rglob("*.yaml"), *folder.rglob("*.yml")})
    if not paths:
        raise SpecError(f"{folder}: there is no spec in this folder", hint="A spec is a .yaml file; see docs/specs.md.")
    problems: list[str] = []
    connectors: dict[str, tuple[Connector, YamlFile]] = {}
    instances: dict[str, tuple[Instance, YamlFile]] = {}
    for path in paths:
        try:
            file = read_yaml(path)
        except SpecError as error:
            problems.append(str(error))
            continue
        if found := list(schema_problems(file)):
            problems += found
            continue
        name = file.value["name"]
        if file.value["kind"] == "connector":
            problems += _twice(name, file, connectors)
            connectors[name] = (connector_from_spec(file.value, path.parent.resolve()), file)
        else:
            problems += _twice(name, file, instances)
            instances[name] = (instance_from_spec(file.value), file)
    everything = {**known, **{name: connector for name, (connector, _) in connectors.items()}}
    for instance, file in instances.values():
        problems += instance_problems(instance, file, everything)
    problems += _shared_tables(instances)
    problems += _catalog_file_problems(folder)
    if problems:
        raise SpecError("\n".join(problems), hint="Mend the files and run ipai validate again.")
    return Catalogs(
        {name: connector for name, (connector, _) in connectors.items()},
        {name: instance for name, (instance, _) in instances.items()},
    )


@cache
def builtin_connectors() -> Mapping[str, Connector]:
    """The connectors that come with the platform."""
    files = map(read_yaml, sorted(resource("catalogs").glob("*/connector.yaml")))
    return {file.value["name"]: connector_from_spec(file.value, file.path.parent.resolve()) for file in files}


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads((resource("catalogs") / "connector.schema.json").read_text()))


def schema_problems(file: YamlFile) -> Iterator[str]:
    """What the JSON Schema has to say about one file."""
    if not isinstance(file.value, dict):
        yield f"{file.path}:1: a spec is a mapping that starts with kind: connector or kind: instance"
        return
    errors = sorted(_validator().iter_errors(file.value), key=lambda error: list(map(str, error.absolute_path)))
    for error in errors:
        yield from _explain(file, error)


def _explain(file: YamlFile, error: ValidationError) -> Iterator[str]:
    keys = list(error.absolute_path)
    schema = cast("dict[str, Any]", error.schema)
    if error.validator == "additionalProperties":
        allowed = list(schema["properties"])
        for key in sorted(set(cast("dict[str, Any]", error.instance)) - set(allowed)):
            near = difflib.get_close_matches(key, allowed, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(allowed)}"
            yield _problem(file, [*keys, key], f"unknown key; {advice}")
        return
    if error.validator == "required":
        yield _problem(file, keys, f"{error.message.split(' is ')[0]} is missing")
        return
    if error.validator == "oneOf" and error.context:
        # The branch that the value was meant for is the one that got furthest.
        deepest = max(error.context, key=lambda branch: (len(branch.absolute_path), branch.validator != "type"))
        yield from _explain(file, deepest)
        return
    meaning = schema.get("description")
    yield _problem(file, keys, error.message + (f" ({meaning})" if meaning else ""))


def _problem(file: YamlFile, keys: Iterable[str | int], text: str) -> str:
    keys = list(keys)
    name = ".".join(str(key) for key in keys) or "(top)"
    return f"{file.path}:{file.line(keys)}: {name}: {text}"


def _catalog_file_problems(folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("catalog.json")) if folder.is_dir() else ():
        try:
            for text in catalog_problems(parse_catalog(path.read_text(encoding="utf-8"))):
                yield f"{path}: {text}"
        except SpecError as error:
            yield f"{path}: this is {error}"


def _twice(name: str, file: YamlFile, seen: Mapping[str, tuple[Any, YamlFile]]) -> Iterator[str]:
    if name in seen:
        yield _problem(file, ["name"], f"{name!r} is declared already, in {seen[name][1].path}")


def instance_problems(instance: Instance, file: YamlFile, connectors: Mapping[str, Connector]) -> Iterator[str]:
    """What only the connectors can tell about an instance."""
    if instance.source.connector in connectors and not instance.name.endswith(f"_{instance.source.connector}"):
        yield _problem(file, ["name"], f"must be <env>_<source>, here ending in _{instance.source.connector}")
    names = [each.name for each in instance.schedules]
    for index, each in enumerate(instance.schedules):
        for key, text in schedule_problems(each):
            at: list[str | int] = (
                ["schedule", index, key] if isinstance(file.value["schedule"], list) else ["schedule", key]
            )
            yield _problem(file, at, text)
        if names.index(each.name) != index:
            yield _problem(file, ["schedule", index, "name"], f"{each.name!r} is the name of another schedule already")
    for role, end in (("source", instance.source), ("destination", instance.destination)):
        connector = connectors.get(end.connector)
        if connector is None:
            near = difflib.get_close_matches(end.connector, connectors, n=1)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(connectors)) or 'none'}"
            yield _problem(file, [role, "connector"], f"no connector {end.connector!r}; {advice}")
            continue
        if connector.role != role:
            yield _problem(file, [role, "connector"], f"{end.connector!r} is a {connector.role}, not a {role}")
        for setting in sorted(connector.secrets & end.config.keys()):
            if not is_reference(end.config[setting]):
                text = "a secret must not stand here; write ${secret:NAME} or ${env:NAME} instead"
                yield _problem(file, [role, "config", setting], text)


def _shared_tables(instances: Mapping[str, tuple[Instance, YamlFile]]) -> Iterator[str]:
    """Two instances of one source with one destination would overwrite each other's rows."""
    seen: dict[str, str] = {}
    for instance, file in instances.values():
        place = json.dumps(
            [instance.source.connector, instance.destination.connector, instance.destination.config],
            sort_keys=True,
        )
        if other := seen.get(place):
            yield _problem(
                file, ["destination"],
                f"{instance.name!r} and {other!r} would load into the same tables; "
                "give one of them another destination, such as config: {default_target_schema: …}",
            )  # fmt: skip
        seen.setdefault(place, instance.name)
