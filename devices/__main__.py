"""`python -m devices`: what the GPUs of this machine say, as JSON. For people, and to keep what a real one said."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from devices.nvml import DevicesUnavailable, DriverChanged
from devices.reading import read_node
from devices.verification import complaints


def main() -> int:
    """Print one reading, and why GPUs would not be free."""
    try:
        reading = read_node()
        ordinals = sorted({gpu.ordinal for gpu in reading.gpus} | set(reading.lost))
        print(json.dumps(asdict(reading) | {"complaints": complaints(ordinals)}, indent=2))  # noqa: T201 - a command
    except (DevicesUnavailable, DriverChanged) as failure:
        print(f"devices: {failure}", file=sys.stderr)  # noqa: T201 - a command
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
