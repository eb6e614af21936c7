"""People: one short message through Apprise, which knows some hundred services."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from ipai.notifications.addresses import RefusedAddressError, resolve_now
from ipai.notifications.outcomes import Outcome

if TYPE_CHECKING:
    from ipai.notifications.messages import Words

# Services whose host is whatever the URL says. Elsewhere it may be a token, which is nothing for a name server.
_ANY_HOST = frozenset({"json", "jsons", "xml", "xmls", "form", "forms"})

# What Apprise says is told with the outcome, secrets taken out; not by the process's own log.
logging.getLogger("apprise").propagate = False
logging.getLogger("apprise").addHandler(logging.NullHandler())


def tell(url: str, words: Words) -> Outcome:
    """Send words to the service that an Apprise URL names; Apprise bounds how long each request may take."""
    import apprise  # noqa: PLC0415 - slow to import, and few need it

    told = apprise.Apprise(asset=apprise.AppriseAsset(app_id="IPAI", async_mode=False, http_redirects=False))
    if not told.add(url) or not len(told):
        return Outcome("failed", error="Apprise does not understand this URL.")
    try:
        if url.partition(":")[0].lower() in _ANY_HOST:
            for server in told:
                resolve_now(server.host)
    except (RefusedAddressError, OSError) as error:
        return Outcome("failed", error=str(error))
    sent = told.notify(title=words.title, body=words.body, notify_type=apprise.NotifyType(words.tone))
    if sent:
        return Outcome("delivered")
    said = " ".join(entry.message for entry in sent.logs() if entry.level in ("WARNING", "ERROR"))
    return Outcome("failed", error=said or "The service refused the message.")
