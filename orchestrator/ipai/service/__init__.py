"""What a user can do with the platform, in one place. The command line and every later face call only this."""

from ipai.service.fleet import Fleet
from ipai.service.platform import Checked, Platform, RunReport

__all__ = ["Checked", "Fleet", "Platform", "RunReport"]
