"""Two real processes and the pipe between them; each side is a few lines of Python or shell."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from ipai.pipeline import Acknowledged, Command, Event, Finished, Pipeline, Said

ENV = {"PATH": os.environ["PATH"]}
READ_ALL = "import sys\nfor line in sys.stdin: pass\n"
# Says which way its input ended.
TELL_END = (
    "import signal, sys\n"
    "signal.signal(signal.SIGTERM, lambda *_: (print('terminated', file=sys.stderr), sys.exit(143)))\n"
    "for line in sys.stdin: pass\n"
    "print('end of input', file=sys.stderr)\n"
)
WRITE_FOR_EVER = "while True: print('x' * 1000)\n"


def python(code: str) -> Command:
    return Command([sys.executable, "-c", code], ENV)


def play(tap: str, target: str, grace: float = 10.0) -> tuple[list[Event], Finished]:
    *events, finished = Pipeline(python(tap), python(target), grace).events()
    assert isinstance(finished, Finished)
    return events, finished


def said(events: list[Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, Said)]


def test_the_end_of_input_means_that_the_tap_finished() -> None:
    events, finished = play("print('{}')", TELL_END)
    assert said(events) == ["end of input"]
    assert finished.cause is None


@pytest.mark.parametrize(
    "death", ["raise SystemExit(3)", "import os; os.kill(os.getpid(), 9)", "import os; os._exit(1)"]
)
def test_any_other_end_of_the_tap_is_a_sigterm_to_the_target(death: str) -> None:
    events, finished = play(f"print('{{}}', flush=True)\n{death}", TELL_END)
    assert said(events) == ["terminated"]
    assert finished.cause is not None
    assert finished.cause.side == "tap"


def test_states_come_through_and_other_output_is_only_said() -> None:
    events, _ = play("", "print('{\"bookmarks\": {}}'); print('hello'); print('[1]')")
    assert [event.state for event in events if isinstance(event, Acknowledged)] == [{"bookmarks": {}}]
    assert said(events) == ["hello", "[1]"]


@pytest.mark.parametrize("code", [0, 6])
@pytest.mark.parametrize(
    "tap",
    [
        WRITE_FOR_EVER,
        f"try:\n {WRITE_FOR_EVER}except BrokenPipeError: import os; os._exit(1)\n",  # quiet about it
        f"import signal\nsignal.signal(signal.SIGPIPE, signal.SIG_DFL)\n{WRITE_FOR_EVER}",
        "import time; time.sleep(3600)",
    ],
)
def test_a_target_that_goes_first_is_the_cause_however_its_tap_ends(tap: str, code: int) -> None:
    _, finished = play(tap, f"import os; os._exit({code})")
    assert finished.cause is not None
    assert (finished.cause.side, finished.cause.code) == ("target", code)


def test_a_tap_that_fails_after_garbage_is_the_cause_though_the_target_chokes_on_it() -> None:
    _, finished = play(
        "import sys; print('garbage', flush=True); sys.exit(7)",
        "import sys, time\nfor line in sys.stdin: time.sleep(0.1); sys.exit(5)",
    )
    assert finished.cause is not None
    assert finished.cause.code == 7


def test_a_target_that_ignores_sigterm_is_killed_when_its_grace_is_over() -> None:
    ignore = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(3600)"
    _, finished = play("raise SystemExit(3)", ignore, grace=0.2)
    assert finished.target.signal == "SIGKILL"
    assert finished.cause is not None
    assert finished.cause.side == "tap"


def test_rows_do_not_pass_through_here() -> None:
    identity = "import os; print(os.readlink('/proc/self/fd/{}'), file=__import__('sys').stderr)"
    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to see what a descriptor is")
    events, _ = play(identity.format(1), identity.format(0) + "\n" + READ_ALL)
    one, other = said(events)
    assert one == other
    assert one.startswith("pipe:")


def test_closing_the_events_leaves_no_process() -> None:
    tell_pid = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True)\n"
    pipeline = Pipeline(python(f"{tell_pid}time.sleep(3600)"), python(tell_pid + READ_ALL))
    pids: list[int] = []
    with closing(pipeline.events()) as events:
        while len(pids) < 2:
            event = next(events)
            if isinstance(event, Said):
                pids.append(int(event.text))
    wait_for_the_end_of(pids)


def test_a_flood_of_log_lines_does_not_block_anything() -> None:
    events, finished = play("import sys\nfor n in range(50_000): print(n, file=sys.stderr)", READ_ALL)
    assert len(said(events)) == 50_000
    assert finished.cause is None


def test_a_slow_listener_still_hears_the_last_words() -> None:
    texts = []
    for event in Pipeline(
        python("import sys\nfor n in range(30_000): print(n, file=sys.stderr)"), python(READ_ALL)
    ).events():
        if isinstance(event, Said):
            texts.append(event.text)
            if event.text == "0":
                time.sleep(3)  # longer than silence is listened to after both have ended
    assert texts[-1] == "29999"


def test_a_grandchild_that_keeps_a_pipe_open_is_not_waited_for() -> None:
    started = time.monotonic()
    _, finished = play("import subprocess; subprocess.Popen(['sleep', '20'], stdout=subprocess.DEVNULL)", READ_ALL)
    assert finished.cause is None
    assert time.monotonic() - started < 15


def test_a_target_that_never_read_its_input_is_the_cause() -> None:
    _, finished = play("import time; print('a', flush=True); time.sleep(0.3)", "import os; os._exit(0)")
    assert finished.cause is not None
    assert finished.cause.side == "target"


def wait_for_the_end_of(pids: list[int]) -> None:
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        stat = Path(f"/proc/{pid}/stat")
        return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_what_a_plugin_started_ends_with_it() -> None:
    shell = Command(["sh", "-c", "sleep 3600 & echo $! >&2; wait"], ENV)
    with closing(Pipeline(shell, python(READ_ALL)).events()) as events:
        pid = next(int(event.text) for event in events if isinstance(event, Said))
    wait_for_the_end_of([pid])


def test_when_we_are_killed_both_sides_die_and_the_target_does_not_see_an_end_of_input(tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    script = textwrap.dedent(
        """
        import sys
        from ipai.pipeline import Command, Pipeline, Said

        tell_pid = "import os, sys, time; print(os.getpid(), file=sys.stderr, flush=True)\\n"
        tap = Command([sys.executable, "-c", tell_pid + "time.sleep(3600)"], {})
        read_all = "for line in sys.stdin: pass\\nopen(sys.argv[1], 'w')"
        target = Command([sys.executable, "-c", tell_pid + read_all, sys.argv[1]], {})
        for event in Pipeline(tap, target).events():
            if isinstance(event, Said):
                print(event.text, flush=True)
        """
    )
    command = [sys.executable, "-c", script, str(ended)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.kill()
    wait_for_the_end_of(pids)
    assert not ended.exists()


def test_what_a_tap_leaves_behind_does_not_hold_its_pipe_for_ever() -> None:
    """The target waited for the end of an input that a child in the background kept open."""
    started = time.monotonic()
    tap = Command(["/bin/sh", "-c", "sleep 100 & echo '{}'; exit 0"], ENV)
    *events, finished = Pipeline(tap, python(TELL_END)).events()
    assert isinstance(finished, Finished)
    assert finished.cause is None
    assert said(events) == ["end of input"]
    assert time.monotonic() - started < 60
