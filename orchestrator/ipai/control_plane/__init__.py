"""The control plane: schema `connectors` in Supabase or any Postgres. No other module knows its tables."""

from ipai.control_plane.records import LogLine, Run, StreamMetrics
from ipai.control_plane.store import ControlPlane

__all__ = ["ControlPlane", "LogLine", "Run", "StreamMetrics"]
