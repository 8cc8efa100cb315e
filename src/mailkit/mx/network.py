"""What the deliveries of one channel share: name servers, policies, connections."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mailkit.edge import TLS
from mailkit.mx.hosts import Hosts
from mailkit.mx.names import Names
from mailkit.mx.sts_policies import Policies

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.mx.transport import DirectMX
    from mailkit.smtp.discovery import Draw

__all__ = ["Network"]


class Network:
    """The world as one channel knows it.

    Args:
        transport: What it was told.
        edge: What all I/O goes through.
        draw: Decides between exchangers of one preference.
    """

    def __init__(self, transport: DirectMX, edge: Edge, draw: Draw = secrets.randbelow) -> None:
        self.transport = transport
        self.name: str = str(transport)
        self.draw = draw
        timeout = transport.timeouts.connect
        self.names: Names = Names(
            edge,
            deadline=lambda: edge.now() + (edge.timeout if timeout is None else timeout),
            port=transport.port,
            name_servers=transport.name_servers,
        )
        self.policies: Policies = Policies(
            edge, self.names, TLS(ca_file=transport.ca_file), private_networks=transport.private_networks
        )
        self.hosts: Hosts = Hosts(transport, edge)
