"""Singer STATE as the orchestrator keeps it: which part belongs to which stream.

Most taps write `{"bookmarks": {stream: {...}}}`; some put streams at the top. A run over some streams may only ever
change the part of those streams, whatever the tap prints for the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ipai.errors import SpecError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

State = dict[str, Any]


def merge(stored: Mapping[str, Any], printed: Mapping[str, Any], only: Collection[str] | None) -> State:
    """What to store after a target acknowledged a STATE.

    Args:
        stored: what is stored now.
        printed: what the target printed.
        only: the streams of this run; None means all of the instance's.

    Bookmarks of streams that the tap no longer mentions stay: the stream may come back.
    """
    old, new = _bookmarks(stored), _bookmarks(printed)
    if only is not None:
        # Top-level keys beside the bookmarks speak for a whole run, or for one stream that bears the name.
        merged = {**stored, **{key: value for key, value in printed.items() if key in only or key not in stored}}
    elif old or new:
        merged = dict(printed)  # what the tap has dropped beside its bookmarks is dropped
    else:
        merged = {**stored, **printed}
    if old or new:
        merged["bookmarks"] = {**old, **{key: value for key, value in new.items() if only is None or key in only}}
    return merged


def without(state: Mapping[str, Any], streams: Collection[str] | None) -> State:
    """The STATE a full refresh starts from: nothing, or everything but the named streams' bookmarks."""
    if streams is None:
        return {}
    kept = {key: value for key, value in state.items() if key not in streams}
    if "bookmarks" in kept:
        kept["bookmarks"] = {key: value for key, value in _bookmarks(state).items() if key not in streams}
    return kept


def with_bookmark(state: Mapping[str, Any], stream: str, bookmark: Mapping[str, Any]) -> State:
    """The STATE with one stream's bookmark set by hand."""
    return {**state, "bookmarks": {**_bookmarks(state), stream: dict(bookmark)}}


def bookmark_of(state: Mapping[str, Any], stream: str) -> Any:
    """One stream's bookmark, or None."""
    bookmarks = _bookmarks(state)
    return bookmarks[stream] if stream in bookmarks else state.get(stream)


def from_document(document: Any) -> State:
    """Read an exported STATE: plain Singer, a Singer STATE message, or Meltano's `{"singer_state": …}`.

    Raises:
        SpecError: it is none of them.
    """
    if isinstance(document, dict):
        if document.get("type") == "STATE":
            return from_document(document.get("value"))
        for wrapper in ("completed", "singer_state"):
            if document.keys() & {wrapper} and document.keys() <= {wrapper, "partial"}:
                return from_document(document[wrapper])
        if "type" not in document and isinstance(document.get("bookmarks", {}), dict):
            return document
    raise SpecError("This is no STATE.", hint='A STATE is a JSON object such as {"bookmarks": {"orders": {…}}}.')


def to_meltano(state: Mapping[str, Any]) -> State:
    """The form `meltano state set` takes."""
    return {"singer_state": dict(state)}


def _bookmarks(state: Mapping[str, Any]) -> dict[str, Any]:
    bookmarks = state.get("bookmarks")
    return bookmarks if isinstance(bookmarks, dict) else {}
