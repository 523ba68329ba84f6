"""What a step asks of the cluster: CPU, memory, accelerator, retries, caching, secrets (OPS-3).

Credentials never travel as parameters: they stand in Kubernetes secrets, and the steps read them
from the environment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kfp import dsl, kubernetes

# Secret key → environment variable. The names are those that boto3, MinIO's client and MLflow read.
S3_SECRET = "featrix-s3"
S3_KEYS = {
    "endpoint": "AWS_ENDPOINT_URL",
    "access-key": "AWS_ACCESS_KEY_ID",
    "secret-key": "AWS_SECRET_ACCESS_KEY",
}
MLFLOW_SECRET = "featrix-mlflow"
MLFLOW_KEYS = {
    "tracking-uri": "MLFLOW_TRACKING_URI",
    "username": "MLFLOW_TRACKING_USERNAME",
    "password": "MLFLOW_TRACKING_PASSWORD",
}
# Where the strings service is. Its token stays a file: the secret is mounted, and `token-file` names
# the file in it (`/etc/featrix/strings/token`).
STRINGS_CONFIG = "featrix-strings"
STRINGS_KEYS = {"url": "FEATRIX_STRINGS_URL", "token-file": "FEATRIX_STRINGS_TOKEN_FILE"}
STRINGS_SECRET = "featrix-strings"
STRINGS_MOUNT = "/etc/featrix/strings"

_DAY = 24 * 60 * 60
RUN = dsl.PipelineConfig(active_deadline_seconds=_DAY, ttl_seconds_after_finished=7 * _DAY)
"""A run that hangs ends after a day; what the cluster keeps of a run that ended goes after a week.
Artifacts and the record of the run stay."""


@dataclass(frozen=True)
class Step:
    """Requests and limits of one step, and how it behaves when it fails or has run before.

    mlflow, strings: the step asks the registry, the strings service, and gets their credentials.
    """

    cpu: tuple[str, str]
    memory: tuple[str, str]
    retries: int = 2
    cache: bool = True
    mlflow: bool = False
    strings: bool = False


STEPS: dict[str, Step] = {
    "ingest": Step(cpu=("1", "4"), memory=("2Gi", "8Gi")),
    "join_validate": Step(cpu=("1", "4"), memory=("1Gi", "8Gi")),
    "train_space": Step(cpu=("2", "8"), memory=("4Gi", "16Gi"), strings=True),
    "extend_space": Step(cpu=("2", "8"), memory=("4Gi", "16Gi"), strings=True),
    "train_predictor": Step(cpu=("2", "8"), memory=("4Gi", "16Gi"), strings=True),
    "calibrate": Step(cpu=("1", "4"), memory=("2Gi", "8Gi"), strings=True),
    "batch_score": Step(cpu=("1", "4"), memory=("2Gi", "8Gi"), mlflow=True, strings=True),
    # What these two write depends on the state of the registry, which no cache key sees.
    "register": Step(cpu=("1", "2"), memory=("1Gi", "4Gi"), cache=False, mlflow=True),
    "report": Step(cpu=("1", "2"), memory=("1Gi", "4Gi"), cache=False, mlflow=True),
}


def settle(task: Any, step: str) -> Any:
    """Give a task its resources, retries, caching and secrets; returns the task."""
    wanted = STEPS[step]
    task.set_cpu_request(wanted.cpu[0]).set_cpu_limit(wanted.cpu[1])
    task.set_memory_request(wanted.memory[0]).set_memory_limit(wanted.memory[1])
    task.set_retry(wanted.retries, backoff_duration="30s", backoff_factor=2.0)
    task.set_caching_options(enable_caching=wanted.cache)
    kubernetes.use_secret_as_env(task, S3_SECRET, S3_KEYS, optional=True)
    if wanted.mlflow:
        kubernetes.use_secret_as_env(task, MLFLOW_SECRET, MLFLOW_KEYS, optional=True)
    if wanted.strings:
        kubernetes.use_config_map_as_env(task, STRINGS_CONFIG, STRINGS_KEYS, optional=True)
        kubernetes.use_secret_as_volume(task, STRINGS_SECRET, STRINGS_MOUNT, optional=True)
    return task


def on_accelerator(task: Any, kind: Any, count: Any, node_selector: Any, tolerations: Any) -> Any:
    """Put a task on accelerator nodes; all four arguments are parameters of the pipeline."""
    task.set_accelerator_type(kind).set_accelerator_limit(count)
    # kfp 2.17 forgets to carry these two into a loop's inputs; registering them mends that.
    task.register_pipeline_channels([kind, count])
    kubernetes.add_node_selector_json(task, node_selector)
    kubernetes.add_toleration_json(task, tolerations)
    return task
