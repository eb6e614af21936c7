"""Commits and branches, as far as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from fake_github.shapes import Row


@dataclass(frozen=True)
class Commit:
    """`author` is GitHub's user for it, None if nobody has the address."""

    sha: str
    parents: tuple[str, ...]
    author: Row | None
    authored: datetime
    committed: datetime
    message: str


@dataclass(frozen=True)
class Comparison:
    """From base to head; `commits` are those that only head has, oldest first."""

    status: str
    ahead: int
    behind: int
    merge_base: str
    commits: list[Commit]


@dataclass
class History:
    """A graph of commits. What no branch, tag or pull request reaches is gone after `collect`."""

    commits: dict[str, Commit] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def add(self, commit: Commit) -> Commit:
        self.commits[commit.sha] = commit
        return commit

    def resolve(self, name: str) -> str | None:
        """The SHA of a branch or of itself."""
        sha = self.branches.get(name.removeprefix("refs/").removeprefix("heads/"), name)
        return sha if sha in self.commits else None

    def reachable(self, sha: str) -> list[Commit]:
        """Everything behind a commit, itself included, newest first by committer date; children before parents."""
        seen: dict[str, Commit] = {}
        waiting = [sha]
        while waiting:
            each = waiting.pop()
            if each not in seen and each in self.commits:
                seen[each] = self.commits[each]
                waiting += self.commits[each].parents
        children = dict.fromkeys(seen, 0)
        for commit in seen.values():
            for parent in commit.parents:
                if parent in children:
                    children[parent] += 1
        ready = [commit for commit in seen.values() if not children[commit.sha]]
        ordered = []
        while ready:
            ready.sort(key=lambda commit: (commit.committed, commit.sha))
            commit = ready.pop()
            ordered.append(commit)
            for parent in commit.parents:
                if parent in children:
                    children[parent] -= 1
                    if not children[parent]:
                        ready.append(seen[parent])
        return ordered

    def compare(self, base: str, head: str) -> Comparison | None:
        """None if there is no common ancestor."""
        behind, ahead = self.reachable(base), self.reachable(head)
        before, after = {commit.sha for commit in behind}, {commit.sha for commit in ahead}
        common = next((commit.sha for commit in ahead if commit.sha in before), None)
        if common is None:
            return None
        new = [commit for commit in reversed(ahead) if commit.sha not in before]
        lost = len(before - after)
        status = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}.get(
            (bool(new), bool(lost)), "diverged"
        )
        return Comparison(status, len(new), lost, common, new)

    def collect(self, kept: set[str]) -> None:
        """Forget what nothing reaches, as GitHub does some time after a force push."""
        alive = {commit.sha for root in {*self.branches.values(), *kept} for commit in self.reachable(root)}
        self.commits = {sha: commit for sha, commit in self.commits.items() if sha in alive}
