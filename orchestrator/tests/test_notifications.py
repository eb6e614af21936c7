"""Events on their way to real receivers, by real deliverers."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from click.testing import CliRunner

from ipai.cli import main
from ipai.errors import NotFoundError
from ipai.notifications import webhooks
from ipai.notifications.deliverer import run_deliverer

sys.path.insert(0, str(Path(__file__).parent))

from receiver import SECRET, Receiver

# Apprise imports what Python is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ipai.service import Platform


@pytest.fixture
def sql(platform: Platform) -> Iterator[Callable[..., list[Any]]]:
    with psycopg.connect(platform.url, autocommit=True) as connection:

        def run(query: str, *parameters: Any) -> list[Any]:
            cursor = connection.execute(query, parameters)
            return cursor.fetchall() if cursor.description else []

        yield run


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def deliver(platform: Platform) -> Iterator[Callable[..., threading.Event]]:
    """Start a deliverer in a thread; it is gone after the test."""
    running: list[tuple[threading.Event, threading.Thread]] = []

    def start(lease_seconds: float = 60) -> threading.Event:
        stop = threading.Event()
        thread = threading.Thread(target=run_deliverer, args=(platform.connect, stop, lease_seconds))
        thread.start()
        running.append((stop, thread))
        return stop

    yield start
    for stop, _ in running:
        stop.set()
    for _, thread in running:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def channel(platform: Platform, receiver: Receiver, sql: Any, monkeypatch: pytest.MonkeyPatch) -> str:
    """A signed webhook to the receiver that hears of everything and is tried again soon."""
    monkeypatch.setenv("HOOK_URL", receiver.url)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    platform.notifications.add("hook", kind="webhook", url="${env:HOOK_URL}", secret="${env:HOOK_SECRET}", kinds=["*"])
    sql("update connectors.channels set first_delay = '50 milliseconds'")
    return "hook"


def emit(sql: Any, kind: str = "run.late", instance: str | None = "prod_shop", **payload: Any) -> int:
    return int(sql("select connectors.emit(%s, %s, null, %s)", kind, instance, json.dumps(payload))[0][0])


def states(sql: Any) -> list[tuple[str, int]]:
    return sql("select status, attempts from connectors.deliveries order by id")


def test_a_run_reaches_a_webhook_signed_and_documented(
    platform: Platform, declare: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    name = declare({"fail_after": ["orders", 2], "how": "exit"})
    with pytest.raises(Exception, match="went away"):
        platform.run(name)
    deliver()
    until(lambda: len(receiver.requests) == 2)
    started, failed = (request.json for request in receiver.requests)
    assert [each.signed for each in receiver.requests] == [True, True]
    assert (started["type"], started["data"]["run"]["status"]) == ("run.started", "running")
    run = failed["data"]["run"]
    assert (failed["type"], failed["version"], failed["data"]["instance"]) == ("run.failed", 1, name)
    assert (run["status"], run["kind"], run["attempt"], run["trigger"]) == ("failed", "sync", 1, "manual")
    assert (run["error"]["side"], run["error"]["stream"], run["error"]["exit_code"]) == ("tap", "orders", 7)
    assert run["started_at"] < run["finished_at"] <= failed["timestamp"]
    assert run["retry"] is None
    assert started["data"]["run"]["id"] == run["id"]
    assert [each.status for each in platform.notifications.deliveries(channel)] == ["delivered", "delivered"]


def test_a_failing_receiver_gets_the_same_message_again_until_it_takes_it(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, platform: Platform, until: Any
) -> None:
    receiver.script = [500, 503, 400, 404]
    emit(sql)
    deliver()
    until(lambda: states(sql) == [("delivered", 5)])
    assert len({each.id for each in receiver.requests}) == 1
    assert len({each.body for each in receiver.requests}) == 1
    assert all(each.signed for each in receiver.requests)
    (told,) = platform.notifications.deliveries(channel)
    assert (told.response_status, told.error) == (200, None)


def test_retry_after_keeps_everything_of_the_channel_back(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    receiver.script = [(429, {"Retry-After": "2"})]
    emit(sql, instance="prod_a")
    deliver()
    until(lambda: receiver.requests)
    until(lambda: sql("select resume_at from connectors.channels where resume_at is not null"))
    emit(sql, instance="prod_b")
    until(lambda: states(sql) == [("delivered", 2), ("delivered", 1)])
    assert receiver.requests[1].at - receiver.requests[0].at >= 1.9
    assert channel == "hook"


def test_a_receiver_that_hangs_holds_up_nobody_else(
    sql: Any,
    receiver: Receiver,
    channel: str,
    deliver: Any,
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    until: Any,
) -> None:
    monkeypatch.setattr(webhooks.post, "__kwdefaults__", {"seconds": 1.5})
    hanging = Receiver(script=["hang"] * 100)
    try:
        monkeypatch.setenv("HANGING_URL", hanging.url)
        platform.notifications.add("hanging", kind="webhook", url="${env:HANGING_URL}", kinds=["*"])
        for number in range(8):
            emit(sql, instance=f"prod_{number}")
        deliver()
        until(lambda: len(receiver.requests) == 8, 5)
        until(lambda: sql("select error from connectors.deliveries where error = 'No answer within 1.5 seconds.'"))
        assert len(hanging.requests) <= 8
    finally:
        hanging.close()
    assert channel == "hook"


def test_a_redirect_is_not_followed(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, platform: Platform, until: Any
) -> None:
    other = Receiver()
    try:
        receiver.script = [(302, {"Location": other.url}), (307, {"Location": other.url})]
        emit(sql)
        deliver()
        until(lambda: states(sql) == [("delivered", 3)])
        assert other.requests == []
    finally:
        other.close()
    assert platform.notifications.deliveries(channel)[0].response_status == 200


def test_gone_disables_the_channel(sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any) -> None:
    receiver.script = [410]
    emit(sql)
    deliver()
    until(lambda: states(sql) == [("dead", 1)])
    emit(sql)
    assert sql("select name, enabled from connectors.channels") == [(channel, False)]
    assert len(states(sql)) == 1


def test_after_its_time_a_delivery_is_given_up_and_can_be_brought_back(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, platform: Platform, until: Any
) -> None:
    sql("update connectors.channels set give_up_after = '1 second'")
    receiver.script = [500] * 1000
    event = emit(sql)
    deliver()
    until(lambda: [status for status, _ in states(sql)] == ["dead"])
    assert sql("select max(id) from connectors.events") == [(event,)]  # it makes no noise about itself
    (dead,) = platform.notifications.deliveries(channel, failing=True)
    assert dead.error == "The receiver answered 500 Internal Server Error: answer 500 to /hook"
    count = len(receiver.requests)
    receiver.script = []
    assert platform.notifications.retry(channel) == 1
    until(lambda: states(sql) == [("delivered", 1)])
    assert len(receiver.requests) == count + 1
    assert receiver.requests[-1].id == dead.message_id


def test_events_of_an_instance_come_in_order_past_a_short_failure_and_others_do_not_wait(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    receiver.script = [500, 500, 500]
    for number in range(6):
        emit(sql, instance="prod_a", number=number)
    deliver()
    until(lambda: [status for status, _ in states(sql)] == ["delivered"] * 6)
    assert [each.json["data"]["details"]["number"] for each in receiver.requests] == [0, 0, 0, 0, 1, 2, 3, 4, 5]
    assert channel == "hook"


def test_one_message_that_is_never_taken_lets_later_ones_pass(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    emit(sql, instance="prod_a")
    emit(sql, instance="prod_a")
    sql(
        "update connectors.deliveries set attempts = 6, next_at = now() + interval '1 hour' "
        "where id = (select min(id) from connectors.deliveries)"
    )
    deliver()
    until(lambda: states(sql) == [("waiting", 6), ("delivered", 1)])
    assert len(receiver.requests) == 1
    assert channel == "hook"


def test_only_what_was_asked_for(platform: Platform, sql: Any, receiver: Receiver) -> None:
    platform.notifications.add(
        "some", kind="webhook", url=receiver.url, kinds=["run.failed", "schema.*"], instances=["prod_*", "test_a"]
    )
    wanted = [("run.failed", "prod_x"), ("schema.drift", "test_a")]
    for kind, instance in [*wanted, ("run.succeeded", "prod_x"), ("schema.drift", "test_ab"),
                           ("schemaXdrift", "prod_x"),
                           ("run.failed", "prodXx"), ("schema.drift", None)]:  # fmt: skip
        emit(sql, kind, instance)
    told = {(each.kind, each.instance) for each in platform.notifications.deliveries()}
    assert told == set(wanted)
    platform.notifications.add("all", kind="webhook", url=receiver.url, kinds=["*"])
    emit(sql, "secret.expiring", None)
    assert [each.channel for each in platform.notifications.deliveries(limit=1)] == ["all"]
    assert platform.notifications.remove("some") == 2
    with pytest.raises(NotFoundError):
        platform.notifications.remove("some")


def test_nothing_is_lost_when_events_commit_out_of_order(platform: Platform, sql: Any, channel: str) -> None:
    with psycopg.connect(platform.url) as slow, psycopg.connect(platform.url) as fast:
        (first,) = slow.execute("select connectors.emit('run.late', 'prod_a', null)").fetchone() or (0,)
        (second,) = fast.execute("select connectors.emit('run.late', 'prod_b', null)").fetchone() or (0,)
        fast.commit()
        assert first < second
        assert [each.event_id for each in platform.notifications.deliveries(channel)] == [second]
        slow.commit()
    assert {each.event_id for each in platform.notifications.deliveries(channel)} == {first, second}
    with psycopg.connect(platform.url) as undone:
        undone.execute("select connectors.emit('run.late', 'prod_c', null)")
        undone.rollback()
    assert len(states(sql)) == 2


def test_a_deliverer_that_is_killed_loses_nothing(
    platform: Platform, sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    receiver.script = ["hang"] * 4
    for number in range(10):
        emit(sql, instance=f"prod_{number}")
    code = (
        "import sys, threading; from ipai.control_plane import ControlPlane;"
        "from ipai.notifications.deliverer import run_deliverer;"
        "run_deliverer(lambda: ControlPlane(sys.argv[1]), threading.Event(), 3)"
    )
    victim = subprocess.Popen([sys.executable, "-c", code, platform.url], env=dict(os.environ))
    until(lambda: len(receiver.requests) == 4)
    victim.send_signal(signal.SIGKILL)
    victim.wait(10)
    assert sql("select count(*) from connectors.deliveries where leased_until is not null") == [(4,)]
    receiver.let_go.set()
    deliver()
    until(lambda: [status for status, _ in states(sql)] == ["delivered"] * 10)
    assert sorted(attempts for _, attempts in states(sql)) == [1] * 6 + [2] * 4
    assert {each.id for each in receiver.requests} == {
        each.message_id for each in platform.notifications.deliveries(channel)
    }


def test_several_deliverers_send_each_delivery_once(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    receiver.seconds = 0.01
    for number in range(120):
        emit(sql, instance=f"prod_{number % 40}", number=number)
    for _ in range(3):
        deliver()
    until(lambda: states(sql) == [("delivered", 1)] * 120, 60)
    assert len(receiver.requests) == 120
    assert len({each.id for each in receiver.requests}) == 120
    assert receiver.most_at_once == 1
    for instance in range(40):
        numbers = [
            each.json["data"]["details"]["number"] for each in receiver.requests
            if each.json["data"]["instance"] == f"prod_{instance}"
        ]  # fmt: skip
        assert numbers == sorted(numbers)
    assert channel == "hook"


def test_a_deliverer_that_slept_through_its_lease_writes_nothing(platform: Platform, sql: Any, channel: str) -> None:
    emit(sql)
    with platform.control_plane() as first, platform.control_plane() as second:
        (old,) = first.notifications.claim(10, 0.05)
        time.sleep(0.1)
        (new,) = second.notifications.claim(10, 60)
        assert (old.id, old.message_id) == (new.id, new.message_id)
        assert first.notifications.claim(10, 60) == []
        settled = first.notifications.settle(old, "failed", status=None, error="late", pause=None)
        assert settled is None
        assert second.notifications.settle(new, "delivered", status=200, error=None, pause=None) == "delivered"
    assert channel == "hook"


def test_a_database_that_goes_away_is_waited_for(
    sql: Any, receiver: Receiver, channel: str, deliver: Any, until: Any
) -> None:
    receiver.script = ["hang"]
    emit(sql, instance="prod_a")
    deliver(2)
    until(lambda: receiver.requests)
    ended = sql(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where datname = current_database() and application_name = 'ipai' and pid <> pg_backend_pid()"
    )
    assert ended == [(True,)]
    receiver.let_go.set()
    emit(sql, instance="prod_b")
    until(lambda: states(sql) == [("delivered", 2), ("delivered", 1)])
    assert channel == "hook"


def test_a_receiver_that_is_down_never_delays_a_run(
    platform: Platform, declare: Any, sql: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    """The whole of `ipai up`: the run starts and ends while its first message has not been taken by anybody."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(50)  # takes connections and never answers
    monkeypatch.setenv("SILENT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/")
    platform.notifications.add("silent", kind="webhook", url="${env:SILENT_URL}", kinds=["*"])
    for number in range(20):
        emit(sql, instance=f"other_{number}")
    name = declare({})
    command = [sys.executable, "-m", "ipai", "--home", str(platform.home), "--database", platform.url, "up"]
    with (tmp_path / "log").open("wb") as log:
        up = subprocess.Popen(command, stderr=log, env=dict(os.environ))
    try:
        until(lambda: sql("select 1 from connectors.deliveries where leased_until is not null"))
        queued = platform.enqueue(name)
        ended = platform.wait(queued.id, timeout=15)
        assert ended.status == "succeeded"
        assert sql(
            "select count(*) from connectors.deliveries where delivered_at is not null or error is not null"
        ) == [(0,)]
        assert sql("select count(*) from connectors.deliveries where status = 'waiting'") == [(22,)]
        with psycopg.connect(platform.url) as removing:  # nor does somebody who is just removing a channel
            removing.execute("delete from connectors.channels")
            second = platform.wait(platform.enqueue(name).id, timeout=15)
            removing.rollback()
        assert second.status == "succeeded"
    finally:
        up.terminate()
        assert up.wait(30) == 0, (tmp_path / "log").read_text()
        silent.close()


def test_people_are_told_in_three_short_parts(
    platform: Platform,
    declare: Any,
    receiver: Receiver,
    deliver: Any,
    sql: Any,
    monkeypatch: pytest.MonkeyPatch,
    until: Any,
) -> None:
    monkeypatch.setenv("PEOPLE_URL", receiver.url.replace("http://", "json://"))
    platform.notifications.add("ops", kind="apprise", url="${env:PEOPLE_URL}", kinds=["run.failed", "run.late"])
    sql("update connectors.channels set first_delay = '50 milliseconds'")
    receiver.script = [503]
    name = declare({"fail_after": ["orders", 2], "how": "exit"})
    with pytest.raises(Exception, match="went away"):
        platform.run(name)
    deliver()
    until(lambda: states(sql) == [("delivered", 2)])
    message = receiver.requests[-1].json
    run = platform.status(name, limit=1)[0].run
    assert (message["title"], message["type"]) == (f"{name}: run {run.id} failed", "failure")
    assert message["message"] == (
        "The tap failed with exit code 7 while syncing (stream orders). It said: stream orders: the source went away\n"
        f"Next: ipai logs {name} --run {run.id} shows what was said."
    )
    emit(
        sql,
        "run.late",
        name,
        schedule="default",
        due_at="2026-11-25T10:00:00.5+00:00",
        sla_tier="critical",
        latest_seconds=900,
    )
    until(lambda: states(sql)[1:] == [("delivered", 1)])
    late = receiver.requests[-1].json
    assert (late["title"], late["type"]) == (f"{name} is late", "warning")
    assert "due at 2026-11-25 10:00 UTC" in late["message"]
    assert "by 2026-11-25 10:15 UTC" in late["message"]


def test_what_apprise_cannot_do_is_said(
    platform: Platform, sql: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setenv("PEOPLE_URL", "nonsense-service://very-secret-token")
    platform.notifications.add("ops", kind="apprise", url="${env:PEOPLE_URL}", kinds=["*"])
    emit(sql)
    deliver()
    (error,) = until(lambda: sql("select error from connectors.deliveries where error is not null"))[0]
    assert error.startswith("Apprise does not understand this URL.")
    assert "very-secret-token" not in error


@pytest.fixture
def ipai(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        monkeypatch.setattr("sys.argv", ["ipai", *arguments])
        options = ["--home", str(platform.home), "--database", platform.url]
        return CliRunner().invoke(main, [*options, *arguments], catch_exceptions=False)

    return run


def test_the_command_line_from_add_to_rm(
    ipai: Callable[..., Any], receiver: Receiver, sql: Any, deliver: Any, monkeypatch: pytest.MonkeyPatch, until: Any
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    added = ipai(
        "notify", "add", "ops", "--webhook", receiver.url, "--secret-ref", "${env:HOOK_SECRET}", "--on", "run.*"
    )
    assert "ops hears of run.* of *." in added.stdout
    assert "took it with 200" in ipai("notify", "test", "ops").stdout
    assert receiver.requests[0].json["type"] == "channel.test"
    receiver.script = [500]
    failed = ipai("notify", "test", "ops", "--json")
    assert failed.exit_code == 1
    assert json.loads(failed.stdout)["error"]["details"]["status"] == 500
    receiver.script = [400]
    emit(sql)
    sql("update connectors.channels set first_delay = '1 hour'")
    deliver()
    until(lambda: sql("select 1 from connectors.deliveries where error is not null"))
    (told,) = json.loads(ipai("notify", "log", "ops", "--failing", "--json").stdout)
    assert (told["response_status"], told["attempts"], told["status"]) == (400, 1, "waiting")
    assert json.loads(ipai("notify", "retry", "ops", "--delivery", str(told["id"]), "--json").stdout) == {"retried": 1}
    until(lambda: states(sql) == [("delivered", 1)])
    (listed,) = json.loads(ipai("notify", "list", "--json").stdout)
    assert (listed["waiting"], listed["dead"], listed["secret"]) == (0, 0, "${env:HOOK_SECRET}")
    assert "ops" in ipai("notify", "list").stdout
    assert "run.late" in ipai("notify", "log").stdout
    assert ipai("notify", "rm", "ops").exit_code == 0
    assert ipai("notify", "test", "ops").exit_code == 4
    assert ipai("notify", "add", "ops").exit_code == 2
