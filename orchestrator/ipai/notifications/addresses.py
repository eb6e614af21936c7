"""Which addresses are never spoken to: those from which a machine in a cloud gets its credentials.

A webhook's URL is given by somebody who may add channels, but is called from where the scheduler runs. Loopback and
private networks are allowed, since that is where n8n and the like live; link-local addresses and the clouds' metadata
services never receive a webhook. The name is resolved once, and the connection goes to the address that was looked at.
"""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_REFUSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local: the metadata service of nearly every cloud
        "100.100.100.200/32",  # Alibaba's
        "192.0.0.192/32",  # Oracle's
        "168.63.129.16/32",  # Azure's wire server
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "::/128",
        "fe80::/10",
        "fd00:ec2::/32",  # Amazon's, over IPv6
        "fd20:ce::/32",  # Google's
        "ff00::/8",
    )
)
_NAT64 = ip_network("64:ff9b::/96")


class RefusedAddressError(Exception):
    """An address that gets no webhooks."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order to try them.

    Raises:
        OSError: it has none.
        RefusedAddressError: one of them must not be spoken to.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return looked_at([str(each[4][0]) for each in found])


def resolve_now(host: str) -> list[str]:
    """The same, waiting for the answer."""
    return looked_at([str(each[4][0]) for each in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)])


def looked_at(addresses: list[str]) -> list[str]:
    """The addresses, each once, if all of them may be spoken to."""
    for address in addresses:
        if is_refused(address):
            raise RefusedAddressError(
                f"{address} is a link-local or metadata address; it gets no webhooks (see docs/notifications.md)."
            )
    return list(dict.fromkeys(addresses))


def is_refused(address: str) -> bool:
    """Whether an IP address, in whatever clothes, is one of those."""
    ip: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(ip, IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour
        if inner is None and ip in _NAT64:
            inner = IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            ip = inner
    return any(ip in network for network in _REFUSED)
