"""The command `notify`: channels to webhooks and people, and what has been delivered to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ipai.cli.output import json_option, print_json, print_table
from ipai.notifications.channels import DEFAULT_KINDS
from ipai.notifications.outcomes import NotDeliveredError

if TYPE_CHECKING:
    from ipai.service import Platform


@click.group()
def notify() -> None:
    """Tell programs (webhooks) and people (Slack, mail, Telegram … through Apprise) what happens.

    \b
    ipai notify add ops --apprise '${env:SLACK_URL}'
    ipai notify add n8n --webhook '${env:N8N_URL}' --secret-ref '${env:N8N_SECRET}' --on 'run.*'
    ipai notify test ops

    The scheduler delivers, so the variables must be set where `ipai scheduler` or `ipai up` runs. docs/notifications.md
    has the messages and how to check a signature.
    """


@notify.command()
@click.argument("name")
@click.option("--webhook", metavar="URL", help="An address to POST to, or a reference to it: '${env:HOOK_URL}'.")
@click.option("--apprise", metavar="REF", help="A reference to an Apprise URL: '${env:SLACK_URL}'.")
@click.option("--secret-ref", metavar="REF", help="Of a webhook: a reference to the secret that signs it (whsec_…).")
@click.option(
    "--on",
    "kinds",
    multiple=True,
    metavar="KIND",
    help=f"A kind of event, or a glob; repeatable. By default: {', '.join(DEFAULT_KINDS)}.",
)
@click.option("--instance", "instances", multiple=True, metavar="GLOB", help="Only these instances; repeatable.")
@json_option
@click.pass_obj  # fmt: skip
def add(
    platform: Platform,
    name: str,
    webhook: str | None,
    apprise: str | None,
    secret_ref: str | None,
    kinds: tuple[str, ...],
    instances: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add the channel NAME, or give it other settings. What happens from now on goes there.

    Single quotes keep the shell from filling a reference in: only '${env:NAME}' is stored, never its value.
    """
    if (webhook is None) == (apprise is None):
        raise click.UsageError("Say either --webhook or --apprise.")
    if secret_ref is not None and apprise is not None:
        raise click.UsageError("--secret-ref is for webhooks.")
    channel = platform.notifications.add(
        name, kind="webhook" if webhook else "apprise", url=webhook or apprise or "", secret=secret_ref, kinds=kinds,
        instances=instances,
    )  # fmt: skip
    if as_json:
        print_json(channel)
        return
    click.echo(f"{name} hears of {', '.join(channel.kinds)} of {', '.join(channel.instances)}.")
    if channel.kind == "webhook" and channel.secret is None:
        click.echo("It is not signed: whoever knows the address can send as well. --secret-ref REF signs it.")
    click.echo(f"Next: ipai notify test {name}")


@notify.command("list")
@json_option
@click.pass_obj
def list_(platform: Platform, as_json: bool) -> None:
    """List the channels, and how much waits for each."""
    channels = platform.notifications.channels()
    if as_json:
        print_json(channels)
        return
    if not channels:
        click.echo("No channels yet. Next: ipai notify add --help")
        return
    print_table(
        ["channel", "kind", "address", "signed", "events", "instances", "enabled", ">waiting", ">dead", "delivered"],
        [
            (
                each.name, each.kind, each.url, each.secret is not None, ", ".join(each.kinds),
                ", ".join(each.instances), each.enabled, each.waiting, each.dead, each.last_delivered_at,
            )
            for each in channels
        ],
    )  # fmt: skip


@notify.command()
@click.argument("name")
@json_option
@click.pass_obj
def test(platform: Platform, name: str, as_json: bool) -> None:
    """Send a test event to the channel NAME, from this machine, and say what came back."""
    tested = platform.notifications.test(name)
    if tested.outcome.result != "delivered":
        raise NotDeliveredError(name, tested.outcome)
    if as_json:
        print_json(tested)
        return
    status = f" with {tested.outcome.status}" if tested.outcome.status else ""
    click.echo(f"{name} took it{status} after {tested.seconds:.2f} s.")
    if tested.outcome.answer:
        click.echo(f"It said: {tested.outcome.answer}")


@notify.command()
@click.argument("name", required=False)
@click.option("--failing", is_flag=True, help="Only what is dead, or failed and is tried again.")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many, newest first.")
@json_option
@click.pass_obj
def log(platform: Platform, name: str | None, failing: bool, limit: int, as_json: bool) -> None:
    """List deliveries, of the channel NAME or of all, with what went wrong."""
    deliveries = platform.notifications.deliveries(name, failing=failing, limit=limit)
    if as_json:
        print_json(deliveries)
        return
    print_table(
        ["no.", "channel", "event", "instance", ">run", "status", ">tries", "next", "delivered", ">answer", "error"],
        [
            (
                str(each.id), each.channel, each.kind, each.instance, str(each.run_id or ""), each.status,
                each.attempts, each.next_at, each.delivered_at, str(each.response_status or ""), each.error,
            )
            for each in deliveries
        ],
    )  # fmt: skip


@notify.command()
@click.argument("name", required=False)
@click.option("--delivery", type=int, metavar="N", help="Only this one; ipai notify log shows the numbers.")
@json_option
@click.pass_obj
def retry(platform: Platform, name: str | None, delivery: int | None, as_json: bool) -> None:
    """Send dead and failed deliveries again, now: of the channel NAME or of all."""
    again = platform.notifications.retry(name, delivery)
    if as_json:
        print_json({"retried": again})
    else:
        click.echo(f"{again} deliveries are due now. Watch them with ipai notify log.")


@notify.command()
@click.argument("name")
@json_option
@click.pass_obj
def rm(platform: Platform, name: str, as_json: bool) -> None:
    """Remove the channel NAME, with what waits for it."""
    gone = platform.notifications.remove(name)
    if as_json:
        print_json({"removed": name, "deliveries": gone})
    else:
        click.echo(f"{name} is removed, and {gone} deliveries with it.")


COMMANDS = (notify,)
