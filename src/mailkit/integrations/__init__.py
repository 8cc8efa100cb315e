"""mailkit inside the frameworks that an application is written with: one module for each, imported by nobody else."""

from __future__ import annotations
