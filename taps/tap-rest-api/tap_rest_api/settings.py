"""The settings of the tap, as `--about` shows them. What an API needs of its user, its manifest declares."""

from __future__ import annotations

from typing import Any

from singer_sdk import typing as th

from singer_kit.rest import COMMON

_OTHERS = {"deletion_detection", "lookback_seconds"}  # each stream of a manifest says so itself

SETTINGS: dict[str, Any] = th.PropertiesList(
    th.Property("manifest_path", th.StringType, description="The YAML file that describes the API."),
    th.Property("manifest_yaml", th.StringType, description="Or its text."),
    th.Property("manifest", th.ObjectType(additional_properties=True), description="Or the same as an object."),
    th.Property(
        "settings",
        th.ObjectType(additional_properties=True),
        description="Values of the settings that the manifest declares.",
    ),
    th.Property(
        "state_dir",
        th.StringType,
        description="Folder for inferred schemas, ids of soft deletion and refresh tokens that the server rotates.",
    ),
    th.Property(
        "dry_run_requests",
        th.BooleanType,
        default=False,
        description="Print the first request of each stream, without secrets, and send nothing.",
    ),
    th.Property(
        "include_secrets", th.BooleanType, default=False, description="Keep fields that the manifest calls secret."
    ),
    th.Property(
        "max_delete_fraction",
        th.NumberType,
        default=0.3,
        description="Deletion mode soft: more vanished rows than this share are taken for a fault.",
    ),
    *(each for each in COMMON if each.name not in _OTHERS),
).to_dict()
