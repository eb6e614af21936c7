"""Read 100 repositories with tap-github and with meltanolabs-tap-github, side by side, from the same fake GitHub.

    tox -e bench -- tap-github [--repositories 100] [--events 700] [--latency 0.05] [--limits none secondary]

The fake is the one of tap-github's tests, a process of its own that answers each request after 50 ms. Activity is
spread as in real organisations: the n-th repository has 1/n of the first one's. Both taps read the streams that both
have, the second time with the state of the first and nothing changed. `secondary`: the server refuses more than 900
REST points a minute (2,000 of GraphQL) and the peer runs as it is; tap-github keeps to 15 requests a second. `none`:
the server has no such limit, and tap-github is told so, with 16 partitions at a time.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from contestants import install
from measuring import Cost, FailedError, run

TESTS = Path(__file__).parents[2] / "taps" / "tap-github" / "tests"
TOKEN = "ghp_fake"
ORGANIZATION = "acme-0"

# The peer asks github.com itself whether its token is good, whatever its settings say.
REDIRECTION = """
import os, requests
send = requests.Session.send
def redirected(self, request, **options):
    request.url = request.url.replace("https://api.github.com", os.environ["FAKE_GITHUB"])
    return send(self, request, **options)
requests.Session.send = redirected
"""

# Ours, and what the peer calls it.
STREAMS = {
    "repositories": "repositories", "languages": "languages", "labels": "labels", "milestones": "milestones",
    "releases": "releases", "branches": "branches", "tags": "tags", "assignees": "assignees",
    "collaborators": "collaborators", "contributors": "contributors", "issues": "issues",
    "issue_comments": "issue_comments", "issue_events": "issue_events", "commits": "commits",
    "commit_comments": "commit_comments", "pull_requests": "pull_requests",
    "pull_request_commits": "pull_request_commits", "reviews": "reviews", "review_comments": "review_comments",
    "stargazers": "stargazers", "workflows": "workflows", "workflow_runs": "workflow_runs",
    "workflow_jobs": "workflow_run_jobs", "deployments": "deployments", "deployment_statuses": "deployment_statuses",
    "events": "events", "readme": "readme", "community_profile": "community_profile",
    "custom_properties": "custom_properties", "discussions": "discussions",
    "discussion_comments": "discussion_comments", "discussion_replies": "discussion_comment_replies",
}  # fmt: skip


@dataclass(frozen=True)
class Result:
    """One run."""

    rows: int
    cost: Cost
    requests: int
    quota: int

    def __str__(self) -> str:
        return (
            f"{self.rows:7,} rows {self.requests:6,} requests {self.quota:6,} points {self.cost.seconds:7.1f} s"
            f" {self.cost.client_cpu:6.1f} CPU s {self.cost.memory:6.0f} MB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repositories", type=int, default=100)
    parser.add_argument("--events", type=int, default=700, help="in the organisation's past")
    parser.add_argument("--latency", type=float, default=0.05, help="seconds of each answer")
    parser.add_argument("--limits", nargs="*", default=["none", "secondary"], choices=["none", "secondary"])
    parser.add_argument("--only", choices=["ours", "peer"], help="leave the other one out")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--points", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments)
        return
    for limits in arguments.limits:
        print(
            f"\nLimits: {limits}; {arguments.repositories} repositories, {arguments.latency * 1000:.0f} ms", flush=True
        )
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ipai-bench-")))
            server = Server(stack, arguments, points=900 if limits == "secondary" else None)
            results = {}
            if arguments.only != "peer":
                results["tap-github"] = bench(ours(server, folder, limits), server)
            if arguments.only != "ours":
                results["meltanolabs-tap-github"] = bench(peer(server, folder), server)
        for name, (first, second) in results.items():
            print(f"{name:24} first  {first}\n{'':24} second {second}", flush=True)
        if len(results) == 2:
            (mine, _), (other, _) = results.values()
            print(
                f"tap-github needs {mine.requests / other.requests:.0%} of the peer's requests and is "
                f"{other.cost.seconds / mine.cost.seconds:.1f} times as fast."
            )


# The contestants


def ours(server: Server, folder: Path, limits: str) -> list[str]:
    config: dict[str, Any] = {"organizations": [ORGANIZATION], "auth_token": TOKEN, "api_url": server.url}
    if limits == "none":
        config |= {"requests_per_second": 0, "max_concurrency": 16}
    program = shutil.which("tap-github", path=str(Path(sys.executable).parent))
    assert program, "tap-github is not installed in this environment"
    return selected(program, config, set(STREAMS), folder / "ours")


def peer(server: Server, folder: Path) -> list[str]:
    config = {
        "organizations": [ORGANIZATION], "auth_token": TOKEN, "api_url_base": server.url,
        "start_date": "2020-01-01T00:00:00Z",
    }  # fmt: skip
    program = install("meltanolabs-tap-github", "1.30.1") / "tap-github"
    return selected(str(program), config, set(STREAMS.values()), folder / "peer")


def selected(program: str, config: dict[str, Any], streams: set[str], files: Path) -> list[str]:
    """The tap's command with a catalog that selects some streams and no others."""
    files.mkdir(exist_ok=True)
    (files / "config.json").write_text(json.dumps(config))
    command = [program, "--config", str(files / "config.json")]
    catalog = json.loads(subprocess.run([*command, "--discover"], check=True, capture_output=True).stdout)
    names = {entry["tap_stream_id"] for entry in catalog["streams"]}
    assert streams <= names, f"{program} has no {streams - names}"
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = entry["tap_stream_id"] in streams
    (files / "catalog.json").write_text(json.dumps(catalog))
    return [*command, "--catalog", str(files / "catalog.json")]


def bench(command: list[str], server: Server) -> tuple[Result, Result]:
    """Run twice, the second time with the state of the first."""
    files = Path(command[2]).parent
    environment = {"FAKE_GITHUB": server.url}
    if files.name == "peer":
        (files / "sitecustomize.py").write_text(REDIRECTION)
        environment["PYTHONPATH"] = str(files)
    first, state = measure(command, server, environment)
    path = files / "state.json"
    path.write_text(json.dumps(state))
    second, _ = measure([*command, "--state", str(path)], server, environment)
    return first, second


def measure(command: list[str], server: Server, environment: dict[str, str]) -> tuple[Result, Any]:
    rows: Counter[str] = Counter()
    state: Any = {}

    def read(output: IO[bytes]) -> None:
        nonlocal state
        for line in output:
            if line.startswith(b'{"type":"RECORD"') or b'"type": "RECORD"' in line[:40]:
                rows["RECORD"] += 1
            elif b'"STATE"' in line[:40]:
                state = json.loads(line)["value"]

    server.say("forget")
    try:
        cost = run(command, server.process.pid, consume=read, environment=environment)
    except FailedError as error:
        raise SystemExit(str(error)) from None
    told = server.say("tell")
    return Result(rows["RECORD"], cost, told["requests"], told["quota"]), state


# The server


class Server:
    """The fake GitHub in a process of its own."""

    def __init__(self, stack: ExitStack, arguments: argparse.Namespace, *, points: int | None) -> None:
        options = ["--repositories", str(arguments.repositories), "--events", str(arguments.events)]
        options += ["--latency", str(arguments.latency), *(["--points", str(points)] if points else [])]
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stack.callback(self.process.wait)
        stack.callback(self.process.terminate)
        assert self.process.stdout
        self.url = json.loads(self.process.stdout.readline())["url"]

    def say(self, word: str) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        print(word, file=self.process.stdin, flush=True)
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def serve(arguments: argparse.Namespace) -> None:
    """Be the server: `forget` begins to count anew, `tell` says how many requests there were and what they cost."""
    sys.path.insert(0, str(TESTS))
    from fake_github import FakeGitHub

    fake = FakeGitHub(
        repositories=arguments.repositories, events=0, points=10**7, latency=arguments.latency, real_clock=True,
        points_per_minute=arguments.points, strict=False,
    )  # fmt: skip
    repositories = fake.repositories
    weights = [1 / (number + 1) for number in range(len(repositories))]
    fake.clock.set(fake.clock.now.replace(month=1))
    for chosen in fake.world.random.choices(repositories, weights, k=arguments.events):
        fake.clock.advance(300 * 86_400 / (arguments.events + 1) / 2)
        fake.life.happen(1, repository=chosen)
    fake.clock.advance(86_400)
    fake.api.description = None  # the tests have seen that all is legal; here it would be the server that is measured
    if arguments.points:
        rest, graphql = fake.secondary, type(fake.secondary)(2000, refusal=fake.secondary.refusal, punishes=True)
        rest.applies = lambda request: not request.path.endswith("/graphql")
        graphql.applies = lambda request: request.path.endswith("/graphql")
        fake.api.limits.append(graphql)
    with fake:
        print(json.dumps({"url": fake.url}), flush=True)
        used = 0
        for word in sys.stdin:
            quota = fake.core.used(TOKEN) + fake.graphql.used(TOKEN)
            if word.strip() == "forget":
                fake.api.forget()
                used = quota
                print("{}", flush=True)
            else:
                told = {"requests": len(fake.api.log), "quota": quota - used}
                print(json.dumps(told), flush=True)
                print(dict(fake.api.log.counts()), Counter(each.status for each in fake.api.log), file=sys.stderr)


if __name__ == "__main__":
    main()
