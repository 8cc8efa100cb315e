"""Routes: which transport a recipient's copy goes through."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal, Self, final

from attrs import field, frozen

from mailkit.errors import ConfigurationError, MailkitError, MessageError, UnsupportedFeatureError
from mailkit.frozendict import FrozenDict
from mailkit.policies.journey import Journey
from mailkit.policies.members import Member, joint_capabilities, members_of, open_members
from mailkit.policies.parts import Parts
from mailkit.policies.policy import Policy, as_object, as_text, when_unusual
from mailkit.policies.routing_table import DomainTable, as_label, checked_domains, checked_names, routes_from_labels
from mailkit.policies.waves import WaveChannel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mailkit.address import Address
    from mailkit.edge import Edge
    from mailkit.envelope import Envelope
    from mailkit.message import Message
    from mailkit.transport import Capabilities, Channel, Transport
    from mailkit.transport_url import TransportURL

    Chooser = Callable[[Message | None, Address], str | None]
    """Names the route of a recipient's copy; None is the default. The message is None for prepared bytes."""

__all__ = ["Route"]


@final
@frozen(init=False)
class Route(Policy):
    """Sends each recipient's copy through the transport of its route.

    A message whose recipients have different routes is sent through each of them, every copy to the recipients of its
    route alone, with the same header fields; one receipt says who took whom. A recipient without a route, and a message
    that the transport of a route cannot express, are refused before anything is sent to anybody.

    Example:
        >>> from mailkit.smtp import SMTP
        >>> route = Route({"example.com": SMTP("mail.example.com"), "*.test": SMTP("localhost")}, default=SMTP("relay"))
        >>> str(route)
        'route(example.com=smtp://mail.example.com:587 *.test=smtp://localhost:587 *=smtp://relay:587)'

    Args:
        routes: A transport for each route, by name.
        by: What names the route. ``"domain"``: the recipient's domain, or ``*.`` before any domain above it; the
            longest one counts. ``"tag"``: the first tag of the message that is a route. A function of the message (None
            for prepared bytes) and the recipient's address, which returns a route's name, or None for the default; it
            has to return the same for the same.
        default: What has no route goes through this one; None refuses it.

    Raises:
        ConfigurationError: There is no route, a transport is none, a domain is not valid, or `by` is not known.
    """

    scheme: ClassVar[str] = "route"

    routes: Mapping[str, Transport]
    by: Literal["domain", "tag"] | Chooser
    default: Transport | None = field(default=None)

    def __init__(
        self,
        routes: Mapping[str, Transport],
        *,
        by: Literal["domain", "tag"] | Chooser = "domain",
        default: Transport | None = None,
    ) -> None:
        if not isinstance(routes, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - what the user gave
            raise ConfigurationError("Route takes a mapping from routes to transports: Route({'example.com': first})")
        members_of("Route", routes.values())
        if default is not None:
            members_of("Route", [default])
        if not callable(by) and by not in ("domain", "tag"):
            raise ConfigurationError(f'by={by!r} is not known: use "domain", "tag" or a function')
        checked = checked_domains if by == "domain" else checked_names
        object.__setattr__(self, "routes", FrozenDict(checked(routes)))
        object.__setattr__(self, "by", by)
        object.__setattr__(self, "default", default)

    @classmethod
    def from_members(cls, members: Sequence[tuple[str, Transport]], url: TransportURL) -> Self:
        """Return the policy that ``route(example.com=URL *=URL)`` and ``route(news=URL *=URL)?by=tag`` describe.

        Raises:
            ConfigurationError: A member has no route, or one that another one has, or a parameter is wrong.
        """
        routes, default = routes_from_labels(members)
        by: Literal["domain", "tag"] = url.parameters(by={"domain": "domain", "tag": "tag"}.__getitem__).get(
            "by", "domain"
        )
        return cls(routes, by=by, default=default)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """Each transport once."""
        every = (*self.routes.values(), *(() if self.default is None else (self.default,)))
        return tuple({id(transport): transport for transport in every}.values())

    @property
    def capabilities(self) -> Capabilities:
        """What at least one of the transports can express."""
        return joint_capabilities(self.transports)

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`; does no I/O."""
        return RouteChannel(self, edge)

    def _members(self) -> Iterable[tuple[str, Transport]]:
        ways = [(as_label(name), transport) for name, transport in self.routes.items()]
        return ways if self.default is None else [*ways, ("*=", self.default)]

    def _parameters(self) -> Mapping[str, str | None]:
        return {"by": as_object(self.by) if callable(self.by) else when_unusual(self.by, "domain", as_text)}


class RouteChannel(WaveChannel):
    """A channel over several others, of which each recipient has his.

    Args:
        route: Says which.
        edge: What all I/O goes through.
    """

    def __init__(self, route: Route, edge: Edge) -> None:
        transports = route.transports
        members = open_members(transports, edge)
        super().__init__(route, members, edge)
        member_of = {id(transport): member for transport, member in zip(transports, members, strict=True)}
        self._capabilities = {member: each.capabilities for each, member in zip(transports, members, strict=True)}
        self._default = None if route.default is None else member_of[id(route.default)]
        self._by = route.by
        self._routes = {name: member_of[id(transport)] for name, transport in route.routes.items()}
        self._domains = DomainTable(self._routes)

    def plan(self, message: Message | None, envelope: Envelope) -> Journey | Parts:
        """Return the way of a message, or of each part of it.

        Raises:
            MessageError: A recipient has no route, or the function that chooses one failed.
            UnsupportedFeatureError: One of several transports cannot express the message.
            ConfigurationError: The function that chooses a route named one that there is not.
        """
        ways: dict[Member, list[Address]] = {}
        for path in envelope.rcpt_to:
            ways.setdefault(self._member_for(message, path), []).append(path)
        if len(ways) == 1:
            return Journey(message, envelope, tuple(ways), self._name)
        parts = [self._part(message, envelope, member, paths) for member, paths in ways.items()]
        return Parts(envelope, parts, self._name)

    def _part(self, message: Message | None, envelope: Envelope, member: Member, paths: Sequence[Address]) -> Journey:
        from attrs import evolve

        part = evolve(envelope, rcpt_to=paths)
        capabilities = self._capabilities[member]
        if message is not None:
            capabilities.check(message, part, transport=member.name)
        elif not capabilities.raw:
            raise UnsupportedFeatureError(
                f"{member.name}, through which some of the recipients are routed, cannot send prepared bytes: send a "
                "Message, or through another transport",
                feature="raw",
                transport=member.name,
            )
        return Journey(message, part, (member,), self._name, is_part=True)

    def _member_for(self, message: Message | None, path: Address) -> Member:
        member = self._named(message, path) or self._default
        if member is None:
            raise MessageError(
                f"there is no route for {path.email}: add one to Route(…), or give it default=…; nothing was sent"
            )
        return member

    def _named(self, message: Message | None, path: Address) -> Member | None:
        by = self._by
        if callable(by):
            return self._chosen(by, message, path)
        if by == "domain":
            return self._domains.find(path.ascii_domain)
        tags = () if message is None else message.tags
        return next((self._routes[tag] for tag in tags if tag in self._routes), None)

    def _chosen(self, choose: Chooser, message: Message | None, path: Address) -> Member | None:
        try:
            name = choose(message, path)
        except MailkitError:
            raise
        except Exception as error:
            raise MessageError(
                f"the function that chooses routes failed for {path.email} ({type(error).__name__}: {error}): nothing "
                "was sent"
            ) from error
        if name is None:
            return None
        if name not in self._routes:
            known = ", ".join(sorted(self._routes))
            raise ConfigurationError(f"the function that chooses routes returned {name!r}, which is none of: {known}")
        return self._routes[name]
