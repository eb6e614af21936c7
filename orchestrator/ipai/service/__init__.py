"""What a user can do with the platform, in one place. The command line and every later face call only this."""

from ipai.service.fleet import Fleet
from ipai.service.platform import Checked, Platform, RunReport
from ipai.service.watch import Check, Health, Watch

__all__ = ["Check", "Checked", "Fleet", "Health", "Platform", "RunReport", "Watch"]
