"""Asserts that the service answers with real vectors. Run by `helm test` in the service's own image.

Standard library only; the service's address comes from the variables that Kubernetes sets for every
Service of the namespace, so not even a name server is asked.
"""

import json
import math
import os
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

DIMENSION = 384
TEXTS = ["red car", "crimson automobile", "income tax law", "red car"]


def address() -> str:
    """The service's URL."""
    prefix = os.environ["SERVICE"].upper().replace("-", "_")
    host = os.environ[f"{prefix}_SERVICE_HOST"]
    host = f"[{host}]" if ":" in host else host
    return f"http://{host}:{os.environ[f'{prefix}_SERVICE_PORT']}"


def embed(url: str, headers: dict[str, str]) -> Any:
    """What the service answers for TEXTS."""
    body = json.dumps({"texts": TEXTS}).encode()
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"{url}/embed", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)


def cosine(one: list[float], other: list[float]) -> float:
    """Cosine of two vectors of length 1."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def check(answer: Any, fingerprint: str | None) -> str:
    """What was seen, for the log; ends the program where it is no set of real vectors."""
    vectors = answer["embeddings"]
    if len(vectors) != len(TEXTS):
        sys.exit(f"FAILED: {len(vectors)} vectors for {len(TEXTS)} texts")
    for text, vector in zip(TEXTS, vectors, strict=True):
        if len(vector) != DIMENSION:
            sys.exit(f"FAILED: {text!r} has {len(vector)} numbers instead of {DIMENSION}")
        # Coordinates lie on a grid of 1e-4, which moves the length by 1e-3 at most.
        length = math.hypot(*vector)
        if not abs(length - 1) < 2e-3:
            sys.exit(f"FAILED: the vector of {text!r} has length {length} instead of 1")
    car, automobile, law, again = vectors
    if car != again:
        sys.exit("FAILED: one text has two vectors")
    near, far = cosine(car, automobile), cosine(car, law)
    if not near > far + 0.2:
        sys.exit(
            f"FAILED: related texts are no nearer ({near:.3f}) than unrelated ones ({far:.3f})"
        )
    if fingerprint and answer["fingerprint"] != fingerprint:
        sys.exit(f"FAILED: the fingerprint is {answer['fingerprint']!r} instead of {fingerprint!r}")
    return f"real vectors; cosine of related texts {near:.3f}, of unrelated ones {far:.3f}\n"


def main() -> None:
    """Asks, and with a token asks without it first."""
    url, token, headers = address(), os.environ.get("TOKEN_FILE"), {}
    try:
        if token:
            try:
                embed(url, {})
            except urllib.error.HTTPError as error:
                if error.code != 401:
                    raise
            else:
                sys.exit("FAILED: the service answers without the token")
            headers["Authorization"] = f"Bearer {Path(token).read_text().strip()}"
        sys.stdout.write(check(embed(url, headers), os.environ.get("FINGERPRINT")))
    except urllib.error.HTTPError as error:
        sys.exit(f"FAILED: the service answers {error.code}: {error.read(500)!r}")
    except OSError as error:
        sys.exit(f"FAILED: the service at {url} cannot be reached: {error}")
    except (KeyError, TypeError, ValueError) as error:
        sys.exit(f"FAILED: the answer is no set of vectors: {error!r}")


main()
