"""Objects of any S3 service, by the MinIO client; settings come from the environment (OPS-8)."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.credentials.providers import EnvAWSProvider
from minio.error import InvalidResponseError, S3Error, ServerError

from featrix_core.errors import FeatrixUserError
from featrix_core.files import atomic_file
from featrix_core.storage.fetch import OnBytes

_PART_BYTES = 1024 * 1024
_AWS = "https://s3.amazonaws.com"
_MD5 = re.compile(r"[0-9a-f]{32}")
_CONNECT_SECONDS, _READ_SECONDS, _RETRIES = 10.0, 60.0, 2
_WRONG_KEYS = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "ExpiredToken", "InvalidToken")
_NO_OBJECT = ("NoSuchKey", "NoSuchObject", "ResourceNotFound", "NoSuchVersion")


@dataclass(frozen=True)
class S3Location:
    """A bucket and a key."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> S3Location:
        """The parts of `s3://bucket/key`.

        Raises:
            FeatrixUserError: there is no bucket or no key.
        """
        bucket, _, key = url.removeprefix("s3://").partition("/")
        if not bucket or not key or key.endswith("/"):
            raise FeatrixUserError(
                "An S3 address needs a bucket and a key", value=url, remedy="Use s3://bucket/key"
            )
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def client() -> Minio:
    """A client by the environment.

    `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL` or `S3_ENDPOINT` (Amazon's where none is set), `AWS_REGION`,
    `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`; without keys, requests are not signed.

    Raises:
        FeatrixUserError: the endpoint is no http(s) address, or only half of the credentials are set.
    """
    endpoint = _endpoint()
    parts = urlsplit(endpoint if "://" in endpoint else f"https://{endpoint}")
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise FeatrixUserError(
            "The S3 endpoint is not an address such as https://host:9000",
            value=f"{parts.scheme}://{parts.hostname or ''}{parts.path}",
            remedy="Set AWS_ENDPOINT_URL",
        )
    keys = [bool(os.environ.get(f"AWS_{name}")) for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")]
    if any(keys) and not all(keys):
        raise FeatrixUserError(
            "Only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set", remedy="Set both"
        )
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    http = urllib3.PoolManager(
        timeout=urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
        retries=urllib3.Retry(
            total=_RETRIES, backoff_factor=0.2, status_forcelist=(500, 502, 503, 504)
        ),
    )
    return Minio(
        parts.netloc,
        secure=parts.scheme == "https",
        # A region that is not known would be asked for, which not every key may do.
        region=region or ("us-east-1" if endpoint != _AWS else None),
        credentials=EnvAWSProvider() if all(keys) else None,
        http_client=http,
    )


def _endpoint() -> str:
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "S3_ENDPOINT")
    return next((os.environ[name] for name in names if os.environ.get(name)), _AWS)


def download(location: S3Location, target: Path, on_bytes: OnBytes | None = None) -> None:
    """Stream an object to `target`, which appears when all of it is there and has been checked.

    Checked: the number of bytes; the sha256 where the store keeps one (its own checksum, or metadata
    `sha256`); the MD5 where the ETag is one.

    Raises:
        FeatrixUserError: no such bucket or key, refused, unreachable, cut short, or damaged.
    """
    with _told(location):
        # One request, not two: the answer to HEAD could not say why it is refused.
        answer = client().get_object(
            location.bucket, location.key, request_headers={"x-amz-checksum-mode": "ENABLED"}
        )
        try:
            with atomic_file(target) as aside:
                _write(answer, aside, location, on_bytes)
        finally:
            answer.close()
            answer.release_conn()


def _write(answer: Any, aside: Path, location: S3Location, on_bytes: OnBytes | None) -> None:
    total = _length(answer.headers, location)
    algorithm, digest = _expected(answer.headers)
    actual = hashlib.new(algorithm, usedforsecurity=False) if digest else None
    done = 0
    with aside.open("wb") as handle:
        for part in answer.stream(_PART_BYTES, decode_content=False):
            handle.write(part)
            done += len(part)
            if actual is not None:
                actual.update(part)
            if on_bytes is not None:
                on_bytes(done, total)
    if done != total:
        raise FeatrixUserError(
            f"{location} is {total} bytes, but {done} arrived", remedy="Try again"
        )
    if actual is not None and actual.hexdigest() != digest:
        raise FeatrixUserError(
            f"{location} arrived damaged: its {algorithm} is {actual.hexdigest()}, not {digest}",
            remedy="Try again; if it stays, upload the object again",
        )


def _length(headers: Mapping[str, str], location: S3Location) -> int:
    """Bytes of the object; without them nobody could say whether all of it has arrived."""
    told = next((v for k, v in headers.items() if k.lower() == "content-length"), None)
    if told is None or not (told.isascii() and told.isdigit()):
        raise FeatrixUserError(
            f"{_shown_endpoint()} does not tell the size of {location}",
            value=told,
            remedy="Check AWS_ENDPOINT_URL, and any proxy on the way to it",
        )
    return int(told)


def _expected(headers: Mapping[str, str]) -> tuple[str, str]:
    """Algorithm and hex digest to check by; digest "" where the store tells none of the whole object."""
    lowered = {key.lower(): value for key, value in headers.items()}
    etag = lowered.get("etag", "").strip('"')
    stored = lowered.get("x-amz-checksum-sha256", "")
    if stored and "-" not in stored:  # with a dash it is of the parts' checksums
        return "sha256", base64.b64decode(stored).hex()
    named = lowered.get("x-amz-meta-sha256", "").lower()
    if len(named) == 64:
        return "sha256", named
    # Encrypted by a key service, or uploaded in parts: the ETag is no MD5 of the content.
    encrypted = lowered.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    if encrypted or "x-amz-server-side-encryption-customer-algorithm" in lowered:
        return "md5", ""
    return "md5", etag if _MD5.fullmatch(etag) else ""


@contextmanager
def _told(location: S3Location) -> Iterator[None]:
    """What client and network raise, as the user's errors; secrets never occur in them."""
    try:
        yield
    except S3Error as error:
        raise _refused(location, str(error.code), str(error.message or error.code)) from None
    except urllib3.exceptions.HTTPError as error:
        reason = getattr(error, "reason", None) or error
        raise FeatrixUserError(
            f"{location} cannot be had from {_shown_endpoint()}: {type(reason).__name__}",
            remedy="Check AWS_ENDPOINT_URL and the network",
        ) from None
    except (InvalidResponseError, ServerError) as error:
        raise FeatrixUserError(
            f"{_shown_endpoint()} does not answer as an S3 service does: {type(error).__name__}",
            remedy="Check AWS_ENDPOINT_URL",
        ) from None
    except OSError as error:
        raise FeatrixUserError(
            f"{location} cannot be kept here: {error.strerror or error}",
            value=error.filename,
            remedy="Make room on the disk for temporary files, or set TMPDIR to another one",
        ) from None
    except ValueError as error:
        raise FeatrixUserError(
            f"{location} is not a valid S3 address: {error}", remedy="Use s3://bucket/key"
        ) from None


def _refused(location: S3Location, code: str, message: str) -> FeatrixUserError:
    endpoint = _shown_endpoint()
    if code == "NoSuchBucket":
        return FeatrixUserError(
            f"There is no bucket {location.bucket!r} at {endpoint}",
            remedy="Check the bucket's name and AWS_ENDPOINT_URL",
        )
    if code in _NO_OBJECT:
        return FeatrixUserError(
            f"{location} does not exist at {endpoint}", remedy="Check bucket and key"
        )
    if code in _WRONG_KEYS:
        return FeatrixUserError(
            f"{endpoint} does not accept the credentials ({code})",
            remedy="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
        )
    if code == "AccessDenied":
        return FeatrixUserError(
            f"{endpoint} denies access to {location}",
            remedy="Check the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY) and their rights",
        )
    return FeatrixUserError(f"{location}: {endpoint} answers {code}: {message}")


def _shown_endpoint() -> str:
    """The endpoint without anything that stands before an @."""
    return _endpoint().rpartition("@")[2]
