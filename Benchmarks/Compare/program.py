"""Where the program is that the scripts beside this one run: the release build, or what CROISSANT_GGUF names."""

import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXECUTABLE = os.environ.get("CROISSANT_GGUF") or str(ROOT / ".build" / "release" / "croissant-gguf")
