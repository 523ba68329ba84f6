"""What the strings service needs beyond the library, asked for before it is imported (STR-1)."""

from __future__ import annotations

from importlib.util import find_spec

from featrix_core.errors import FeatrixUserError

ONNX = ("onnx", "onnxruntime")
"""Of the ONNX engine."""
TORCH = ("torch", "transformers")
"""Of the torch engine; an image of the service alone has none of it."""
SERVER = ("msgspec", "prometheus_client", "starlette", "uvicorn")
"""Of the service itself."""


def require(*modules: str) -> None:
    """Do nothing where the modules are installed.

    Raises:
        FeatrixUserError: one is not; it names the extra that has them.
    """
    for name in modules:
        if find_spec(name) is None:
            raise FeatrixUserError(
                f"The package {name} is not installed",
                remedy='Install it with: pip install "featrix[strings]"',
            )
