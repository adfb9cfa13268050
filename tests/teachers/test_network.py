"""Proxies and certificates by environment variables, with real sockets: one fake server is the proxy, and one uses TLS."""

from __future__ import annotations

import asyncio
import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from axolotl_synthetic.config import Generation, OpenAIModel
from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.records import Reply
from axolotl_synthetic.teachers.network import proxy_for, same_server
from axolotl_synthetic.teachers.openai import OpenAITeacher, check

from fake_server import FakeServer
from fake_wire import message

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-recognisable-0123456789abcdef")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def ask(base_url: str) -> Reply:
    async def once() -> Reply:
        teacher = OpenAITeacher(OpenAIModel(base_url=base_url, timeout=5))
        try:
            return await teacher.complete(({"role": "user", "content": "6 * 10?"},), Generation(), 0)
        finally:
            await teacher.close()

    return asyncio.run(once())


# Proxies


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_server_elsewhere_is_asked_through_the_proxy_of_the_environment(monkeypatch, name):
    with FakeServer(reply=lambda body: "60") as proxy:
        monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{proxy.port}")
        check(OpenAIModel(base_url="http://teacher.invalid/v1"))
        # The host has no address, so only the proxy can have answered.
        assert ask("http://teacher.invalid/v1").text == "60"
        [call] = proxy.calls
    assert "proxy-authorization" in [header.lower() for header in call.headers]


def test_a_server_on_this_machine_is_asked_directly(monkeypatch):
    with FakeServer(reply=lambda body: "60") as server, FakeServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert ask(server.base_url).text == "60"
        assert (server.count, proxy.count) == (1, 0)


def test_a_login_of_netrc_takes_no_keys_place(monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine teacher.invalid login ada password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with FakeServer(reply=lambda body: "60", api_key="sk-recognisable-0123456789abcdef") as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert ask("http://teacher.invalid/v1").text == "60"


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("https://api.example.com/v1", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://api.example.com/v1", {"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        ("https://api.example.com/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("https://api.example.com/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "example.com"}, None),
        ("https://api.example.com/v1", {}, None),
        ("http://localhost:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://127.0.0.2:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://[::1]:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
    ],
)
def test_which_proxy_is_for_an_address(monkeypatch, url, environment, proxy):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(url) == proxy


def test_a_proxy_that_cannot_be_used_is_named_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "socks5://ada:secret@p:1080")
    with pytest.raises(
        ServiceError, match=r"proxy socks5://p:1080 .* only HTTP proxies can; set HTTPS_PROXY to one, or NO_PROXY="
    ) as caught:
        check(OpenAIModel(base_url="https://api.example.com/v1"))
    assert "secret" not in str(caught.value)


def test_a_proxy_that_is_away_is_named_as_what_is_wrong(monkeypatch):
    with FakeServer() as gone:
        port = gone.port
    monkeypatch.setenv("HTTP_PROXY", f"http://ada:secret@127.0.0.1:{port}")
    with pytest.raises(
        ServiceError, match=rf"through the proxy http://127\.0\.0\.1:{port} .*; correct HTTP_PROXY, or set NO_PROXY="
    ) as caught:
        check(OpenAIModel(base_url="http://teacher.invalid/v1"))
    assert "secret" not in str(caught.value)


# Certificates


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a self-signed certificate for this machine, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate")
    folder = tmp_path_factory.mktemp("authority")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "ca.pem"]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "ca.pem"


@contextmanager
def tls_server(certificate: Path) -> Iterator[str]:
    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(message("60")[1]).encode()
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://localhost:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()


def test_a_certificate_that_nobody_known_signed_is_refused_with_the_variable_to_set(authority):
    with tls_server(authority) as base_url:
        for use in (check, lambda settings: ask(settings.base_url)):
            with pytest.raises(ServiceError, match=r"no secure connection .* `export SSL_CERT_FILE=/path/to/its-ca\.pem`"):
                use(OpenAIModel(base_url=base_url))


def test_the_servers_own_authority_is_taken_from_ssl_cert_file(authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with tls_server(authority) as base_url:
        check(OpenAIModel(base_url=base_url))
        assert ask(base_url).text == "60"


def test_an_authority_that_is_not_there_is_named(authority, monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "missing.pem"))
    with tls_server(authority) as base_url, pytest.raises(ServiceError, match=r"SSL_CERT_FILE is .*missing\.pem, which is not there"):
        check(OpenAIModel(base_url=base_url))


@pytest.mark.parametrize(
    ("url", "other", "same"),
    [
        ("https://a.example/v1", "https://a.example/v2", True),
        ("http://a.example/v1", "https://a.example/v1", True),
        ("https://a.example/v1", "http://a.example/v1", False),
        ("https://a.example/v1", "https://b.example/v1", False),
        ("https://a.example/v1", "https://a.example:8443/v1", False),
        ("http://a.example:80/v1", "https://a.example/v1", False),
    ],
)
def test_which_address_may_have_the_key_for_another(url, other, same):
    assert same_server(url, other) is same
