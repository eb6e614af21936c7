"""The control plane: schema `connectors` in Supabase or any Postgres. No other module knows its tables."""

from ipai.control_plane.audit import AuditEntry
from ipai.control_plane.plane import ControlPlane
from ipai.control_plane.records import FleetMember, LogLine, QuotaGroup, Run, Schedule, StreamCost, StreamMetrics
from ipai.control_plane.states import STATE_TABLE

__all__ = [
    "STATE_TABLE",
    "AuditEntry",
    "ControlPlane",
    "FleetMember",
    "LogLine",
    "QuotaGroup",
    "Run",
    "Schedule",
    "StreamCost",
    "StreamMetrics",
]
