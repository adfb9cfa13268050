"""Connections to servers: proxies and certificates from the environment's variables, redirects, buffers. It reads no replies."""

from __future__ import annotations

import os
import ssl
from urllib.parse import urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from axolotl_synthetic.errors import ServiceError
from axolotl_synthetic.records import Role

LOCAL_HOSTS = {"localhost", "127.0.0.1", "::1"}
# Buffer in bytes for a long reply: aiohttp's default of 64 kB pauses the connection repeatedly.
READ_BYTES = 1024 * 1024
PROXY_SCHEMES = ("http", "https")


def session(url: str, timeout: float) -> aiohttp.ClientSession:
    """Open a session for one server.

    Args:
        url: the server's address.
        timeout: seconds for one call.

    Raises:
        ServiceError: if the environment's proxy cannot be used.
    """
    # Create the context for each session rather than at aiohttp's import: SSL_CERT_FILE may have been set since.
    context = ssl.create_default_context() if urlsplit(url).scheme == "https" else True
    return aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=timeout),
        # The caller limits open calls; idle connections cost nothing.
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, ssl=context),
        read_bufsize=READ_BYTES,
        # Not `trust_env`, which would send the login of ~/.netrc beside our key, and use the proxy for servers on this machine.
        proxy=proxy_for(url),
    )


def proxy_for(url: str) -> str | None:
    """Return the proxy for an address by HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; None for this machine, and where NO_PROXY says so.

    Raises:
        ServiceError: if its kind is not supported, such as SOCKS.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOCAL_HOSTS or host.startswith("127.") or proxy_bypass(host):
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in PROXY_SCHEMES or not urlsplit(proxy).hostname:
        raise ServiceError(
            f"the proxy {without_login(proxy)} that the environment names for {url} cannot be used: only HTTP proxies can; set"
            f" {parts.scheme.upper()}_PROXY to one, or NO_PROXY={host}"
        )
    return proxy


def without_login(url: str) -> str:
    """Return an address without its login, so that it may be shown."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def unreachable(url: str, error: Exception, said: str, role: Role = "teacher") -> str:
    """Return a message that says why a server cannot be reached and what to do.

    Args:
        said: the error's text, without secrets.
        role: the role of the server's model.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        file = os.environ.get("SSL_CERT_FILE")
        missing = f" (SSL_CERT_FILE is {file}, which is not there)" if file and not os.path.isfile(file) else ""
        return (
            f"no secure connection to {url}: {said}{missing}; if a certificate authority of your own signed its certificate, `export"
            " SSL_CERT_FILE=/path/to/its-ca.pem`, else correct `base_url`"
        )
    if isinstance(error, aiohttp.ClientProxyConnectionError | aiohttp.ClientHttpProxyError):
        proxy = without_login(proxy_for(url) or "")
        return (
            f"the {role} at {url} cannot be reached through the proxy {proxy} ({said}); correct {urlsplit(url).scheme.upper()}_PROXY, or"
            f" set NO_PROXY={urlsplit(url).hostname}"
        )
    return f"the {role} at {url} cannot be reached ({said}); start the server, or correct `base_url`"


def is_lasting(error: Exception) -> bool:
    """Return whether a retry is useless: a certificate does not change."""
    return isinstance(error, aiohttp.ClientConnectorCertificateError)


def redirected(url: str, location: str | None) -> str:
    """Return the absolute address that a redirect points to; empty if it has none."""
    target = urljoin(url, location) if location else ""
    return target if urlsplit(target).scheme in ("http", "https") else ""


def same_server(url: str, other: str) -> bool:
    """Return whether a key for one address may be sent to the other: same host and port, and no less secure a scheme."""
    one, two = urlsplit(url), urlsplit(other)
    if one.hostname != two.hostname:
        return False
    return (one.scheme, one.port) == (two.scheme, two.port) or (one.scheme, two.scheme, one.port, two.port) == ("http", "https", None, None)
