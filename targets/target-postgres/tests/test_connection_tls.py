"""TLS against a real server: who is believed, who is let in, and what is said otherwise.

The server is Debian's, since the embedded one is built without TLS.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
import trustme

from singer_kit.errors import ConfigurationError, ConnectionFailedError
from target_postgres.connection import Connector

if TYPE_CHECKING:
    from collections.abc import Iterator

_BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_CANARY = "canary-51cd"


class TlsServer(NamedTuple):
    """A server that admits `loader` by password, `certified` by certificate, and `plain` only without TLS."""

    port: int
    authority: trustme.CA
    certificate: str
    key: str


@pytest.fixture(scope="module")
def server() -> Iterator[TlsServer]:
    if not _BINARIES:
        pytest.skip(
            "There is no Postgres with TLS here: apt-get install postgresql. The embedded one is built without."
        )
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    identity: dict[str, Any] = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    folder = Path(tempfile.mkdtemp(prefix="ipai-tls-"))
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    client = authority.issue_cert("certified", common_name="certified")
    issued.cert_chain_pems[0].write_to_path(folder / "server.crt")
    issued.private_key_pem.write_to_path(folder / "server.key")
    authority.cert_pem.write_to_path(folder / "root.crt")
    (folder / "server.key").chmod(0o600)
    (folder / "hba").write_text(
        "hostssl all certified 127.0.0.1/32 cert\n"
        "hostnossl all plain 127.0.0.1/32 trust\n"
        "host all loader 127.0.0.1/32 scram-sha-256\n"
        "local all all trust\n"
    )
    for path in (folder, *folder.iterdir()):
        if account:
            os.chown(path, account.pw_uid, account.pw_gid)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    def run(program: str, *arguments: str, **more: Any) -> None:
        subprocess.run(
            [_BINARIES[-1] / program, *arguments], check=True, capture_output=True, cwd=folder, **identity, **more
        )

    settings = {
        "ssl": "on",
        "ssl_cert_file": folder / "server.crt",
        "ssl_key_file": folder / "server.key",
        "ssl_ca_file": folder / "root.crt",
        "hba_file": folder / "hba",
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": folder,
        "port": port,
        "fsync": "off",
    }
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    data = str(folder / "data")
    try:
        run("initdb", "-D", data, "-U", "admin", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8")
        run("pg_ctl", "start", "-w", "-D", data, "-l", str(folder / "log"), "-o", options)
        roles = f"create role loader login password '{_CANARY}'; create role certified login; create role plain login"
        run("psql", "-h", str(folder), "-p", str(port), "-U", "admin", "-d", "postgres", "-c", roles)
        yield TlsServer(
            port,
            authority,
            client.cert_chain_pems[0].bytes().decode(),
            client.private_key_pem.bytes().decode(),
        )
    finally:
        subprocess.run(
            [_BINARIES[-1] / "pg_ctl", "stop", "-m", "immediate", "-D", data],
            check=False,
            capture_output=True,
            **identity,
        )
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def connected(server: TlsServer, tmp_path: Path) -> Any:
    """Connect with these settings; whether TLS is on."""
    root = tmp_path / "root.crt"
    server.authority.cert_pem.write_to_path(root)

    def connect(**settings: Any) -> bool:
        config = {
            "host": "localhost",
            "port": server.port,
            "user": "loader",
            "password": _CANARY,
            "database": "postgres",
            "ssl_certificate_authority": str(root),
            "connection_retry_seconds": 0,
            **settings,
        }
        with Connector(config).open() as connection:
            ((encrypted,),) = connection.execute("select ssl from pg_stat_ssl where pid = pg_backend_pid()").fetchall()
        return encrypted

    return connect


def pem(authority: trustme.CA) -> str:
    return authority.cert_pem.bytes().decode()


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, empty."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# Modes


@pytest.mark.parametrize(
    ("mode", "encrypted"),
    [
        ("disable", False),
        ("allow", False),
        ("prefer", True),
        ("require", True),
        ("verify-ca", True),
        ("verify-full", True),
    ],
)
def test_each_mode(connected, mode, encrypted):
    assert connected(ssl_enable=True, ssl_mode=mode) is encrypted


def test_without_ssl_enable_tls_is_used_where_it_is_offered(connected):
    assert connected() is True


def test_modes_in_a_url(connected, server):
    url = f"postgresql+psycopg2://loader:{_CANARY}@localhost:{server.port}/postgres?sslmode="
    assert connected(sqlalchemy_url=url + "disable") is False
    assert connected(sqlalchemy_url=url + "require") is True


def test_tls_that_the_server_does_not_admit(connected):
    with pytest.raises(ConnectionFailedError, match=r"pg_hba\.conf"):
        connected(user="plain", ssl_enable=True, ssl_mode="require")
    assert connected(user="plain", ssl_enable=True, ssl_mode="disable") is False


# Whom we believe


def test_a_wrong_host_name(connected):
    assert connected(ssl_enable=True, ssl_mode="verify-ca", host="127.0.0.1") is True
    with pytest.raises(ConnectionFailedError, match=r"does not match host name .* Next: connect by the name"):
        connected(ssl_enable=True, host="127.0.0.1")


@pytest.mark.parametrize("mode", ["verify-ca", "verify-full"])
def test_a_certificate_of_another_authority(connected, mode):
    with pytest.raises(
        ConnectionFailedError, match=r"certificate verify failed.* Next: check that the certificate auth"
    ):
        connected(ssl_enable=True, ssl_mode=mode, ssl_certificate_authority=pem(trustme.CA()))


def test_the_machines_authorities_do_not_know_ours(connected):
    with pytest.raises(ConnectionFailedError, match="certificate verify failed"):
        connected(ssl_enable=True, ssl_certificate_authority="system")


def test_the_authority_as_text_leaves_no_file(connected, server, temporary):
    assert connected(ssl_enable=True, ssl_certificate_authority=pem(server.authority)) is True
    assert list(temporary.iterdir()) == []


def test_text_that_lost_its_line_ends(connected, server):
    text = pem(server.authority).replace("\n", "\\n")
    assert connected(ssl_enable=True, ssl_certificate_authority=text) is True


def test_a_missing_authority(connected):
    with pytest.raises(ConfigurationError, match="ssl_certificate_authority: there is no file '/nowhere'"):
        connected(ssl_enable=True, ssl_certificate_authority="/nowhere")


# Who we are


@pytest.mark.parametrize("given", ["files", "texts"])
@pytest.mark.parametrize("verified", [True, False])
def test_a_client_certificate(connected, server, tmp_path, given, verified):
    certificate, key = server.certificate, server.key
    if given == "files":
        (tmp_path / "client.crt").write_text(certificate)
        (tmp_path / "client.key").touch(mode=0o600)
        (tmp_path / "client.key").write_text(key)
        certificate, key = str(tmp_path / "client.crt"), str(tmp_path / "client.key")
    assert connected(
        user="certified",
        password=None,
        ssl_enable=verified,
        ssl_client_certificate_enable=True,
        ssl_client_certificate=certificate,
        ssl_client_private_key=key,
    )


def test_no_client_certificate(connected):
    with pytest.raises(ConnectionFailedError, match="Next: the server wants a client certificate"):
        connected(user="certified", ssl_enable=True)


def test_a_client_certificate_of_somebody_else(connected, server):
    other = server.authority.issue_cert("x", common_name="somebody")
    with pytest.raises(ConnectionFailedError, match="made for another user"):
        connected(
            user="certified",
            ssl_client_certificate_enable=True,
            ssl_client_certificate=other.cert_chain_pems[0].bytes().decode(),
            ssl_client_private_key=other.private_key_pem.bytes().decode(),
        )


def test_a_client_certificate_of_another_authority(connected):
    other = trustme.CA().issue_cert("x", common_name="certified")
    with pytest.raises(ConnectionFailedError, match="Next: check the TLS settings"):
        connected(
            user="certified",
            ssl_enable=True,
            ssl_client_certificate_enable=True,
            ssl_client_certificate=other.cert_chain_pems[0].bytes().decode(),
            ssl_client_private_key=other.private_key_pem.bytes().decode(),
        )


def test_a_key_that_others_can_read_is_refused(connected, server, tmp_path):
    path = tmp_path / "client.key"
    path.write_text(server.key)
    path.chmod(0o644)
    with pytest.raises(ConnectionFailedError, match=r"has group or world access.* Next: .*chmod 600"):
        connected(
            user="certified",
            ssl_client_certificate_enable=True,
            ssl_client_certificate=server.certificate,
            ssl_client_private_key=str(path),
        )


def test_a_broken_key_is_not_repeated(connected, server, temporary):
    broken = f"-----BEGIN PRIVATE KEY-----\n{_CANARY}\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ConnectionFailedError, match="private key") as caught:
        connected(
            user="certified",
            ssl_client_certificate_enable=True,
            ssl_client_certificate=server.certificate,
            ssl_client_private_key=broken,
        )
    assert _CANARY not in str(caught.value)
    assert list(temporary.iterdir()) == []


def test_texts_are_private_files_while_they_exist(server, tmp_path, monkeypatch):
    seen: dict[str, int] = {}

    def look(parameters: dict[str, Any], **_: Any) -> None:
        for name in ("sslcert", "sslkey", "sslrootcert"):
            path = Path(parameters[name])
            seen[name] = path.stat().st_mode & 0o777
            seen[f"folder of {name}"] = path.parent.stat().st_mode & 0o777

    monkeypatch.setattr("target_postgres.connection.connect", look)
    folder = tmp_path / "secrets"
    Connector(
        {
            "host": "h",
            "user": "u",
            "database": "d",
            "ssl_enable": True,
            "ssl_certificate_authority": pem(server.authority),
            "ssl_client_certificate_enable": True,
            "ssl_client_certificate": server.certificate,
            "ssl_client_private_key": server.key,
            "ssl_storage_directory": str(folder),
        }
    ).open()
    assert {mode for name, mode in seen.items() if name.startswith("folder")} == {0o700}
    assert {mode for name, mode in seen.items() if not name.startswith("folder")} == {0o600}
    assert list(folder.iterdir()) == []
