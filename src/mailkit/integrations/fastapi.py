"""Mail in a FastAPI application, which is one of Starlette's: ``Depends(mail)``, with ``mail = Mail("smtp://…")``."""

from __future__ import annotations

from mailkit.integrations.starlette import Mail

__all__ = ["Mail"]
