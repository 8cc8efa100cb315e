"""What transports have in common that keep messages in a folder of this machine's."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - get_type_hints and attrs.resolve_types need it
from typing import TYPE_CHECKING, ClassVar, Self

from attrs import field, frozen

from mailkit.local.channel import LocalChannel
from mailkit.local.storage import absolute_folder, check_folders, folder_from_url, make_folders, url_of
from mailkit.transport import Capabilities

if TYPE_CHECKING:
    from mailkit.edge import Edge
    from mailkit.local.letter import Letter
    from mailkit.receipt import Receipt
    from mailkit.transport import Channel
    from mailkit.transport_url import TransportURL

__all__ = ["FolderTransport"]


@frozen
class FolderTransport:
    """Keeps each message in a file of its own; which folders, names and lines it has is a subclass's.

    Args:
        folder: Where the files go; it is made when it is missing.

    Raises:
        ConfigurationError: `folder` is no path.
    """

    scheme: ClassVar[str]
    """Of its URL."""

    folder: Path = field(converter=absolute_folder)

    @property
    def capabilities(self) -> Capabilities:
        """Everything: messages are kept as they are."""
        return Capabilities.everything()

    @classmethod
    def from_url(cls, url: TransportURL) -> Self:
        """Return the transport that a URL describes.

        Raises:
            ConfigurationError: The URL names no folder, or says more than that.
        """
        return cls(folder_from_url(url))

    def open(self, edge: Edge) -> Channel:
        """Return a channel that works through `edge`."""
        return LocalChannel(self, edge, self._put, check=lambda: check_folders(*self._folders()))

    async def _put(self, letter: Letter, edge: Edge) -> Receipt:
        def store() -> str:
            make_folders(*self._folders())
            return self._store(letter)

        return letter.accepted(str(self), provider_id=await edge.in_thread(store))

    def _folders(self) -> tuple[Path, ...]:
        """Return the folders that there have to be."""
        return (self.folder,)

    def _store(self, letter: Letter) -> str:
        """Write a letter; return the name of its file."""
        raise NotImplementedError

    def __str__(self) -> str:
        return url_of(self.scheme, self.folder)
