"""The SDK's standard suite for taps, in one test."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from singer_sdk.testing import SuiteConfig, get_tap_test_class
from singer_sdk.testing.runners import TapTestRunner

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from singer_sdk import Tap

_FEWEST = 10  # tests; fewer would mean that the SDK names them otherwise


def run_standard_suite(
    tap: type[Tap],
    config: Mapping[str, Any],
    *,
    leave_out: Collection[str] = (),
    ignore_no_records: bool = False,
    **options: Any,
) -> None:
    """Run every test of the SDK's suite that takes parameters or none, in this process.

    Args:
        tap: the class.
        config: its settings.
        leave_out: parts of tests' names, such as `not_null` where a small source has columns without values.
        ignore_no_records: streams may be empty.
        options: of the tap besides, such as a catalog.

    Raises:
        AssertionError: a test fails.

    """
    suite = SuiteConfig(ignore_no_records=ignore_no_records)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # "Fields in transformed catalog but not in records"
        made: dict[str, Any] = {"config": dict(config), "suite_config": suite, "parse_env_config": False, **options}
        tests = get_tap_test_class(tap, **made)
        runner = TapTestRunner(tap, **made)
        runner.sync_all()
        names = [name for name in dir(tests) if name.startswith("test_")]
        assert len(names) > _FEWEST  # noqa: S101
        for name in names:
            if not (parameters := tests.params.get(name)):
                getattr(tests, name)(suite, None, runner)
            elif not any(part in name for part in leave_out):
                for each in parameters:
                    getattr(tests, name)(suite, None, runner, **each.values._asdict())
