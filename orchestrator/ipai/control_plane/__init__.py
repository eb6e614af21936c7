"""The control plane: schema `connectors` in Supabase or any Postgres. No other module knows its tables."""

from ipai.control_plane.audit import AuditEntry
from ipai.control_plane.plane import ControlPlane
from ipai.control_plane.records import (
    NEVER,
    Drift,
    FleetMember,
    LogLine,
    QuotaGroup,
    Run,
    Schedule,
    SeenSchema,
    StreamCost,
    StreamMetrics,
)
from ipai.control_plane.states import STATE_TABLE

__all__ = [
    "NEVER",
    "STATE_TABLE",
    "AuditEntry",
    "ControlPlane",
    "Drift",
    "FleetMember",
    "LogLine",
    "QuotaGroup",
    "Run",
    "Schedule",
    "SeenSchema",
    "StreamCost",
    "StreamMetrics",
]
