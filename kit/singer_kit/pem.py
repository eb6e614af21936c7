"""Keys and certificates as settings hold them: a path, or the text itself."""

from __future__ import annotations


def is_pem(value: str | None) -> bool:
    """Whether a setting holds the text; else it is a path."""
    return "-----BEGIN" in (value or "")


def with_line_ends(pem: str) -> str:
    r"""The text, also where an environment variable left `\n` as two characters."""
    return pem if "\n" in pem.strip() else pem.replace("\\n", "\n")
