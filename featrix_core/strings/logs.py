"""Log lines as JSON objects that never hold a text, a token or what an exception quotes (STR-1)."""

from __future__ import annotations

import datetime
import json
import logging
import sys
import traceback

FIELDS = "fields"
"""Name in `extra` of a dictionary whose items become fields of the line."""


class JsonFormatter(logging.Formatter):
    """One JSON object per record: time, level, logger, message, fields and, of an exception, its type
    and where it came from. Its message is left out: it may quote what a caller sent."""

    def format(self, record: logging.LogRecord) -> str:
        """The record's line."""
        moment = datetime.datetime.fromtimestamp(record.created, datetime.UTC)
        line: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            frames = traceback.extract_tb(record.exc_info[2])
            line["exception"] = record.exc_info[0].__name__
            line["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
        return json.dumps(line)


def log_json(level: int = logging.INFO) -> None:
    """Send all records of this process to standard output as JSON."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
