"""Why a judge's server cannot be reached, in words, and whether waiting may help."""

import re
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx2

# Of looking up a name that does not exist, or has no address; not every system tells the two apart.
_NO_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
# What no repetition mends, as long as the server has never answered.
_HOPELESS = (
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
    httpx2.InvalidURL,
    httpx2.UnsupportedProtocol,
    httpx2.LocalProtocolError,
    httpx2.ProxyError,
)


def without_password(url: str) -> str:
    """An address without a name and a password that may stand in it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it comes from."""
    yield error
    for cause in getattr(error, "exceptions", ()) or filter(None, [error.__cause__ or error.__context__]):
        yield from _causes(cause)


def _no_such_name(error: BaseException) -> bool:
    return isinstance(error, socket.gaierror) and error.errno in _NO_NAME


def waiting_is_useless(error: BaseException) -> bool:
    """Whether a server that never answered will not do so later: nobody listens, or there is no such name."""
    return any(isinstance(cause, _HOPELESS) or _no_such_name(cause) for cause in _causes(error))


def _proxy(url: str) -> str | None:
    parts, proxies = urlsplit(url), getproxies()
    if proxy_bypass(parts.hostname or ""):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found and without_password(found if "://" in found else f"http://{found}")


def why_unreachable(error: BaseException, server: str) -> str:
    """What is behind an error of a connection, on one line. server: its address."""
    causes = list(_causes(error))
    proxy = _proxy(server)
    host = urlsplit(proxy or server).hostname
    if any(map(_no_such_name, causes)):
        said = f"there is no host of the name '{host}'"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        said = f"{urlsplit(proxy or server).netloc} refuses the connection"
    elif any(isinstance(cause, httpx2.LocalProtocolError) for cause in causes):
        # Its own text quotes the header, which may be the one with the key.
        said = "a header cannot be sent"
    else:
        last = causes[-1]
        said = " ".join(re.sub(r"^\[Errno [^]]*\] ", "", str(last)).split())[:200] or type(last).__name__
    return f"{said}, through the proxy {proxy} of the environment" if proxy else said
