"""The tap: its settings, its streams, and how it ends."""

from __future__ import annotations

import fnmatch
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psycopg
from singer_sdk import Tap
from singer_sdk.singerlib.catalog import REPLICATION_INCREMENTAL

from singer_kit.cli import CleanErrors
from singer_kit.errors import SourceError
from singer_kit.stopping import StopsAtState
from singer_kit.writer import LineWriter
from tap_odoo.client import Session
from tap_odoo.discovery import read_tables, read_translated
from tap_odoo.invoices import STREAM as INVOICES
from tap_odoo.invoices import TABLE as MOVES
from tap_odoo.invoices import invoice_source
from tap_odoo.settings import CORE_STREAMS, SETTINGS
from tap_odoo.sources import FieldFilter, Translations, table_source
from tap_odoo.streams import OdooStream

if TYPE_CHECKING:
    from collections.abc import Mapping

    from singer_sdk.singerlib import CatalogEntry

    from tap_odoo.client import Snapshot
    from tap_odoo.discovery import Table
    from tap_odoo.sources import Source

TRANSLATIONS = "ir_translation"


class TapOdoo(CleanErrors, StopsAtState, Tap):
    """Singer tap for Odoo 13-19, read straight from its Postgres database."""

    name = "tap-odoo"
    package_name = "ipai-tap-odoo"
    config_jsonschema = SETTINGS
    message_writer_class = LineWriter
    dynamic_catalog = True

    @cached_property
    def session(self) -> Session:
        """The connection, opened when it is first needed."""
        return Session(self.config)

    def setup_mapper(self) -> None:
        """Load the streams first: they bring the types of an input catalog up to date, which the maps build upon."""
        if self.input_catalog is not None:
            _ = self.streams
        super().setup_mapper()

    def discover_streams(self) -> list[OdooStream]:
        """List every table and view of the schema, or with a catalog just what it selects.

        Raises:
            ConnectionFailedError: the database cannot be reached.
            SourceError: it cannot be described, or lacks a table that the catalog selects.
        """
        wanted = self._wanted()
        try:
            sources = self._read_sources(wanted)
        except psycopg.Error as error:
            reason = str(error).strip().splitlines()[0]
            raise SourceError(
                f"The tables of schema '{self.config['db_schema']}' cannot be listed: {reason}. "
                "Next: check that the user may read the system catalog."
            ) from None
        if wanted is not None and (missing := sorted(wanted - sources.keys())):
            raise SourceError(
                f"The catalog selects {', '.join(f'stream {name!r}' for name in missing)}, but database "
                f"'{self.config['db_name']}' has no such table in schema '{self.config['db_schema']}'. "
                "Next: run discovery again, or deselect it."
            )
        globs: list[str] = self.config["streams"]
        default = re.compile("|".join(map(fnmatch.translate, globs)) or r"(?!)")
        if wanted is None:
            self._warn_about_globs(globs, sources)
        return [
            OdooStream(self, source, selected_by_default=bool(default.match(name))) for name, source in sources.items()
        ]

    def snapshot(self) -> Snapshot:
        """The one snapshot that all streams of the run read; reading begins with it."""
        self.reading = True
        incremental = any(
            stream.selected and stream.replication_method == REPLICATION_INCREMENTAL for stream in self.streams.values()
        )
        return self.session.snapshot(guard=self.config["long_transaction_guard"], incremental=incremental)

    # Discovery

    def _wanted(self) -> set[str] | None:
        """The streams that an input catalog selects, or None without one."""
        catalog = self.input_catalog
        return None if catalog is None else {entry.tap_stream_id for entry in catalog.values() if _selected(entry)}

    def _read_sources(self, wanted: set[str] | None) -> dict[str, Source]:
        connection, schema = self.session.connection, self.config["db_schema"]
        only = None if wanted is None else {*wanted, TRANSLATIONS, *({MOVES} if INVOICES in wanted else ())}
        tables = read_tables(connection, schema, only)
        excluded = FieldFilter([*self.config["credential_fields"], *self.config["exclude_fields"]])
        translations = self._translations(tables)
        sources = {name: table_source(table, excluded, translations) for name, table in tables.items()}
        if (
            self.config["invoice_compat"]
            and INVOICES not in sources
            and MOVES in sources
            and (invoices := invoice_source(tables[MOVES], sources[MOVES], excluded))
        ):
            sources[INVOICES] = invoices
        if wanted is not None:
            return {name: source for name, source in sources.items() if name in wanted}
        if "ir_module_module" not in tables:
            self.logger.debug("Schema '%s' does not look like Odoo's; it is read like any other.", schema)
        return sources

    def _translations(self, tables: Mapping[str, Table]) -> Translations:
        if self.config["translated_output"] == "json":
            return Translations()
        return Translations(
            languages=tuple(self.config["languages"]) or ("en_US",),
            columns=read_translated(self.session.connection, self.config["db_schema"]),
            table=TRANSLATIONS in tables,
        )

    def _warn_about_globs(self, globs: list[str], sources: Mapping[str, Any]) -> None:
        for glob in globs:
            # Not every Odoo has sales or stock: of the defaults, a missing one says nothing.
            if glob not in CORE_STREAMS and not fnmatch.filter(sources, glob):
                self.logger.warning("Setting streams: '%s' matches no table. Next: check its spelling.", glob)
        if not any(fnmatch.filter(sources, glob) for glob in globs):
            self.logger.warning("No stream is selected: none of the tables matches the setting streams.")


def _selected(entry: CatalogEntry) -> bool:
    """Whether a catalog's entry is selected, as the SDK sees it."""
    if not entry.metadata:
        return True
    root = entry.metadata.root
    return bool(root.selected if root.selected is not None else root.selected_by_default)
