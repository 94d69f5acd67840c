"""Answers on the terminal: text for people, JSON for programs."""

import argparse
import json
import sys
from typing import Any, TextIO


def answer(args: argparse.Namespace, data: Any, text: str) -> None:
    """Write *data* as JSON or *text*, as the user asked."""
    write(json.dumps(data, indent=2, ensure_ascii=False) if args.json else text, sys.stdout)


def complain(args: argparse.Namespace, message: str, data: Any = None) -> None:
    """Write an error to the error stream, as JSON when that was asked for."""
    body = {"error": data or {"message": message}}
    write(json.dumps(body, ensure_ascii=False) if args.json else f"error: {message}", sys.stderr)


def counted(count: int, noun: str) -> str:
    """Return ``1 error``, ``2 errors``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def write(text: str, stream: TextIO) -> None:
    """Write *text* and a line end; what the stream's encoding lacks is escaped."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    stream.write(text.rstrip("\n").encode(encoding, "backslashreplace").decode(encoding) + "\n")
