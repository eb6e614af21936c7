"""People: one short message through Apprise, which knows some hundred services."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from ipai.notifications.addresses import RefusedAddressError, resolve_now
from ipai.notifications.outcomes import Outcome

if TYPE_CHECKING:
    from ipai.notifications.messages import Words

_ANY_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})


class _Heard(logging.Handler):
    """What Apprise says in this thread: its own way of telling why it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.lines.append(record.getMessage())


def tell(url: str, words: Words) -> Outcome:
    """Send words to the service that an Apprise URL names. Returns within the time limits that Apprise sets (seconds)."""
    import apprise  # noqa: PLC0415 - slow to import, and few need it

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        told = apprise.Apprise(asset=apprise.AppriseAsset(app_id="IPAI", async_mode=False))
        if not told.add(url) or not len(told):
            return Outcome("failed", error="Apprise does not understand this URL. " + " ".join(heard.lines))
        for server in told:
            if server.url().partition(":")[0] in _ANY_HOST:  # elsewhere the host may be a token: nothing for a name server
                resolve_now(server.host)
        sent = told.notify(title=words.title, body=words.body, notify_type=apprise.NotifyType(words.tone))
    except RefusedAddressError as error:
        return Outcome("failed", error=str(error))
    except Exception as error:  # noqa: BLE001 - whatever a service's plugin raises, the delivery has failed and is tried again
        return Outcome("failed", error=f"{type(error).__name__}: {error}")
    finally:
        logger.removeHandler(heard)
    if sent:
        return Outcome("delivered")
    return Outcome("failed", error=" ".join(heard.lines) or "The service refused the message.")
