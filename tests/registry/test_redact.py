"""No credential reaches the registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from featrix_core.registry.redact import flat_entries, redact


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("postgresql://ann:pa55@db/x", "postgresql://***@db/x"),
        ("s3://bucket/path@2/file.csv", "s3://bucket/path@2/file.csv"),
        (
            "https://s3/x.csv?X-Amz-Signature=abc&part=2&AWSAccessKeyId=k",
            "https://s3/x.csv?X-Amz-Signature=***&part=2&AWSAccessKeyId=***",
        ),
        ("mail ann@example.org", "mail ann@example.org"),
    ],
)
def test_addresses(text, safe):
    assert redact(text) == safe


def test_names_that_say_secret():
    flat = flat_entries(
        {
            "s3": {"secret_key": "abc", "endpoint": "http://minio:9000", "access-key": "def"},
            "credentials": {"user": "ann"},
            "token": "xyz",
            "stores": [{"password": "pw", "host": "h"}],
            "token_budget": 256,
            "pair_tokens": "16",
            "columns": ["a", "b"],
            "off": None,
        }
    )
    assert flat == {
        "s3.secret_key": "***",
        "s3.endpoint": "http://minio:9000",
        "s3.access-key": "***",
        "credentials": "***",
        "token": "***",
        "stores": '[{"password": "***", "host": "h"}]',
        "token_budget": "256",
        "pair_tokens": "16",
        "columns": '["a", "b"]',
        "off": "None",
    }


def test_secrets_of_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("SERVICE_TOKEN_FILE", "/run/token-file")
    assert redact("key=wJalrXUtnFEMI file=/run/token-file") == "key=*** file=/run/token-file"


def test_no_credential_is_written(embedded, make_bundle, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    with (
        pytest.raises(RuntimeError),
        embedded.run(
            "train",
            {"data": "s3://ann:hunter22@host/x.csv", "s3": {"secret": "hunter22"}},
            {"note": "wJalrXUtnFEMI"},
        ) as run,
    ):
        run.log_table_input("t", "https://h/x?X-Amz-Signature=hunter22", 1, "ab" * 32, "train")
        embedded.register_bundle(
            run, make_bundle("predictor", 1), "predictor", "m", {}, tags={"password": "hunter22"}
        )
        raise RuntimeError("refused by s3://ann:hunter22@host")
    written = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert any(path.name == "mlflow.db" for path in written)
    for path in written:
        content = Path(path).read_bytes()
        assert b"hunter22" not in content, path
        assert b"wJalrXUtnFEMI" not in content, path
