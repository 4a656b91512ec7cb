"""`python -m services.datascan`: sources, scans, verdicts and datasets."""

from __future__ import annotations

from services.datascan.process import main

if __name__ == "__main__":
    raise SystemExit(main())
