"""One replica: `python -m services.inference.replica`.

The processes that vLLM spawns import this module again, as `__mp_main__`, before anything else:
that is where they are tied to the process that spawned them. So it stays small.
"""

from __future__ import annotations

from services.cluster import guard

if __name__ == "__mp_main__":
    guard.die_with_parent()

if __name__ == "__main__":
    from services.inference.serving.process import main

    main()
