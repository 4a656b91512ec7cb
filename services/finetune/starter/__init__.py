"""The starter model: a small Python code model, trained from scratch on CPU, that ships in the
repository.
"""

from pathlib import Path

WORK_DIR = Path.home() / ".cache" / "hearth" / "starter"
"""Default place of wheels, corpus, tokenizer and checkpoints: outside the repository."""
