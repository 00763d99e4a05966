"""A container's health check, `python -m cli.stack.ready URL`: exit 0 when it answers 200. The images have no curl."""

from __future__ import annotations

import sys
from urllib.parse import urlsplit

from cli.stack.probe import Endpoint


def main(url: str) -> int:
    """0 when ready, else 1."""
    place = urlsplit(url)
    return 0 if Endpoint(f"{place.scheme}://{place.netloc}").answers(place.path) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
