"""Keeps two warnings of Beam out of every run; both are about optional parts that nobody asked for."""

from __future__ import annotations

import logging

_NEEDLESS = ("apitools not found", "Resource module is not available")


def silence() -> None:
    """Beam says on import that BigQuery's client is absent, at each load that memory is not measured."""
    logging.getLogger().addFilter(_is_needed)


def _is_needed(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith(_NEEDLESS)
