"""Tests against real mail servers, started by the tests themselves from Debian's packages."""

from __future__ import annotations
