"""The token file: what fits into a header, and nothing of it in a message (STR-1, STR-2)."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from featrix_core.errors import FeatrixUserError
from featrix_core.strings.http_embedder import HttpTextEmbedder
from featrix_core.strings.serve import serve
from featrix_core.strings.token import read_token

ODD = [
    b"open sesame",
    b"open\nsesame",
    b"open\r\nX-More: sesame",
    b"open\x00sesame",
    "sesam\u00f6pen".encode(),
    "sesam\u2019open".encode(),
    b"open\x7fsesame",
    b"\xff\xfesesame",
    b"\n",
]


def test_a_token_is_read_without_the_space_around_it(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_bytes(b" sk-A.z/9+_~=!\r\n")
    assert read_token(path) == "sk-A.z/9+_~=!"


@pytest.mark.parametrize("content", ODD)
def test_other_tokens_are_refused_on_both_sides_and_not_shown(
    tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)
    for use in (
        lambda: HttpTextEmbedder("http://127.0.0.1:1", token_file=path, retries=0).embed(["a"]),
        lambda: serve(port=1, metrics_port=0, token_file=path),
    ):
        with pytest.raises(FeatrixUserError, match="The token file") as refused:
            use()
        told = "".join(traceback.format_exception(refused.value))
        assert refused.value.remedy and "sesam" not in str(refused.value)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        assert "X-More" not in str(refused.value) and told.count("Traceback") == 1
