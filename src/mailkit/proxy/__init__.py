"""Proxies: connections that somebody else makes for us, by SOCKS5 or HTTP CONNECT.

The exchanges with a proxy are generators without I/O: they yield what to write and are sent what was read. Every
failure happens before anything of a message was written, so the outcome is always ``"not_sent"``.
"""

from __future__ import annotations

from mailkit.proxy.environment import proxy_from_environment
from mailkit.proxy.proxy import Proxy
from mailkit.proxy.tunnel import connect_through

__all__ = ["Proxy", "connect_through", "proxy_from_environment"]
