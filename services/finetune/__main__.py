"""`python -m services.finetune`: the fine-tune service of a host."""

from __future__ import annotations

import os

if __name__ == "__main__":
    # gRPC reads it when it is imported: a trainer is forked and executed at once.
    os.environ["GRPC_ENABLE_FORK_SUPPORT"] = "0"
    from services.finetune.process import main

    raise SystemExit(main())
