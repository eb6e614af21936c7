"""What a tap has to remember besides Singer's state: files in `state_dir`, which only their owner can read.

Schemas that were inferred, ids for finding deletions, a refresh token that the server has rotated.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from singer_kit.errors import ConfigurationError


class Memory:
    """JSON files of one manifest.

    Args:
        folder: `state_dir` of the config; None remembers nothing.
        name: of the manifest.
    """

    def __init__(self, folder: str | None, name: str) -> None:
        self._folder = Path(folder).expanduser() if folder else None
        self._name = re.sub(r"[^\w.-]+", "_", name)

    @property
    def lasts(self) -> bool:
        """Whether anything is remembered."""
        return self._folder is not None

    def read(self, topic: str) -> Any:
        """What was written last, or null.

        Raises:
            ConfigurationError: the file is there and cannot be read.
        """
        if self._folder is None:
            return None
        path = self._path(topic)
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"{path} cannot be read: {error}. Next: check state_dir, or remove the file."
            ) from None

    def write(self, topic: str, value: Any) -> None:
        """Put a file in the place of the former one, whole or not at all.

        Raises:
            ConfigurationError: it cannot be written.
        """
        if self._folder is None:
            return
        path = self._path(topic)
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            handle, draft = tempfile.mkstemp(dir=self._folder, prefix=f".{path.name}.")  # of mode 600
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False)
            Path(draft).replace(path)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error}. Next: check state_dir.") from None

    def _path(self, topic: str) -> Path:
        assert self._folder is not None  # noqa: S101
        safe = re.sub(r"[^\w.-]+", "_", topic)
        return self._folder / f"{self._name}.{safe}.json"
