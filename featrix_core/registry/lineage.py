"""Where a model comes from and what was made with it, both ways (OPS-4).

    table → space v1 → space v2 → predictor → scored table

Edges point in the direction in which things were made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.markup import escape
from rich.tree import Tree

from featrix_core.errors import FeatrixUserError
from featrix_core.registry.runs import SCORED_BY_TAG
from featrix_core.registry.store import Registry
from featrix_core.registry.versions import (
    DATASET_TAG,
    HOLDOUT_TAG,
    INPUT_TAG,
    KIND_TAG,
    TableRecord,
    VersionRef,
)

NodeKind = Literal["dataset", "space", "predictor", "scored", "deleted"]

_SHOWN = ("roc_auc", "log_loss", "r2", "ece")


class LineageNode(BaseModel):
    """A table or a model.

    Attributes:
        id: `dataset:<sha256>`, `model:<name>/<version>` or `scored:<sha256>`.
        kind: what it is; `deleted` for a model that others name and the registry has no more.
        label: how to call it on a screen.
        details: digest, rows, source, run, aliases, figures: whatever the registry knows of it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: NodeKind
    label: str
    details: dict[str, Any]

    @property
    def summary(self) -> str:
        """The details that help to tell nodes apart, on one line."""
        parts = [f"@{alias}" for alias in self.details.get("aliases", ())]
        if "rows" in self.details:
            parts.append(f"{self.details['rows']} rows")
        if "sha256" in self.details:
            parts.append(f"sha256 {str(self.details['sha256'])[:12]}")
        metrics = self.details.get("metrics", {})
        parts += [f"{name} {metrics[name]:.4f}" for name in _SHOWN if name in metrics]
        return ", ".join(parts)


class LineageEdge(BaseModel):
    """`target` was made from `source`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    target: str


class LineageGraph(BaseModel):
    """Everything upstream and downstream of `root`; `model_dump_json` gives it as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = 1
    root: str
    nodes: tuple[LineageNode, ...]
    edges: tuple[LineageEdge, ...]

    def parents(self, node_id: str) -> tuple[str, ...]:
        """Ids of what the node was made from, in order."""
        return tuple(edge.source for edge in self.edges if edge.target == node_id)

    def children(self, node_id: str) -> tuple[str, ...]:
        """Ids of what was made from the node, in order."""
        return tuple(edge.target for edge in self.edges if edge.source == node_id)

    def tree(self) -> str:
        """The graph as text: the model, what it was made from, what was made with it."""
        names = {
            node.id: escape(", ".join(filter(None, (f"{node.kind} {node.label}", node.summary))))
            for node in self.nodes
        }
        top = Tree(names[self.root])
        for title, step in (("made from", self.parents), ("used for", self.children)):
            if step(self.root):
                branch = top.add(title)
                pending: deque[tuple[Tree, str, tuple[str, ...]]] = deque()
                pending.append((branch, self.root, (self.root,)))
                while pending:
                    at, node_id, path = pending.popleft()
                    # The path guards against tags that somebody has edited into a circle.
                    for other in (i for i in step(node_id) if i not in path):
                        pending.append((at.add(names[other]), other, (*path, other)))
        console = Console(width=160, no_color=True, highlight=False, record=False)
        with console.capture() as capture:
            console.print(top)
        return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"


class _Walk:
    """One walk through the registry; collects nodes and edges, asks for each thing once."""

    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.nodes: dict[str, LineageNode] = {}
        self.edges: set[tuple[str, str]] = set()
        self._tables: dict[str, list[TableRecord]] = {}

    def tables(self, run_id: str) -> list[TableRecord]:
        if run_id not in self._tables:
            self._tables[run_id] = self.registry.tables(run_id)
        return self._tables[run_id]

    def add_model(self, ref: VersionRef) -> dict[str, str]:
        """Add the node of a version and of the tables that it was made from; its tags."""
        record = self.registry.version(ref)
        tags = dict(record.tags)
        node_id = _model_id(ref)
        kind: NodeKind = "space" if tags.get(KIND_TAG) == "space" else "predictor"
        details: dict[str, Any] = {
            "uri": ref.uri,
            "model_id": ref.model_id,
            "run_id": record.run_id,
            "aliases": sorted(record.aliases),
            "metrics": self.registry.metrics(ref),
        }
        if HOLDOUT_TAG in tags:
            details["holdout_sha256"] = tags[HOLDOUT_TAG]
        label = f"{ref.name}/{ref.version}"
        self.nodes[node_id] = LineageNode(id=node_id, kind=kind, label=label, details=details)
        return tags

    def add_tables_of(self, ref: VersionRef, tags: dict[str, str]) -> None:
        run_id = self.nodes[_model_id(ref)].details["run_id"]
        known = {table.sha256: table for table in self.tables(run_id)} if run_id else {}
        for sha in _suffixes(tags, DATASET_TAG):
            details: dict[str, Any] = {"sha256": sha}
            if (table := known.get(sha)) is not None:
                details |= {"rows": table.rows, "source": table.source, "context": table.context}
            node_id = f"dataset:{sha}"
            # A later run may have read the table again without saying what it is: keep the fuller.
            present = self.nodes.get(node_id)
            if present is None or len(present.details) < len(details):
                label = table.name if table else tags[f"{DATASET_TAG}{sha}"]
                self.nodes[node_id] = LineageNode(
                    id=node_id, kind="dataset", label=label, details=details
                )
            self.edges.add((node_id, _model_id(ref)))

    def add_deleted(self, label: str, child: VersionRef) -> None:
        node_id = f"model:{label}"
        self.nodes[node_id] = LineageNode(id=node_id, kind="deleted", label=label, details={})
        self.edges.add((node_id, _model_id(child)))

    def upstream(self, root: VersionRef) -> None:
        pending, seen = deque([root]), {root}
        while pending:
            ref = pending.popleft()
            tags = self.add_model(ref)
            self.add_tables_of(ref, tags)
            for model_id in _suffixes(tags, INPUT_TAG):
                try:
                    parent = self.registry.resolve(f"models:/{model_id}")
                except FeatrixUserError:
                    self.add_deleted(tags[f"{INPUT_TAG}{model_id}"], ref)
                    continue
                self.edges.add((_model_id(parent), _model_id(ref)))
                if parent not in seen:
                    seen.add(parent)
                    pending.append(parent)

    def downstream(self, root: VersionRef) -> None:
        pending, seen = deque([root]), {root}
        while pending:
            ref = pending.popleft()
            if _model_id(ref) not in self.nodes:
                self.add_model(ref)
            self.add_scored(ref)
            for child in self.registry.made_from(ref):
                self.edges.add((_model_id(ref), _model_id(child)))
                if child not in seen:
                    seen.add(child)
                    pending.append(child)

    def add_scored(self, ref: VersionRef) -> None:
        for run_id in self.registry.runs_tagged(
            f"{SCORED_BY_TAG}.{ref.model_id}", f"{ref.name}/{ref.version}"
        ):
            for table in self.tables(run_id):
                if table.scored_by != ref.model_id:
                    continue
                node_id = f"scored:{table.sha256}"
                details = {
                    "sha256": table.sha256,
                    "rows": table.rows,
                    "source": table.source,
                    "run_id": run_id,
                }
                self.nodes[node_id] = LineageNode(
                    id=node_id, kind="scored", label=table.name, details=details
                )
                self.edges.add((_model_id(ref), node_id))


def _model_id(ref: VersionRef) -> str:
    return f"model:{ref.name}/{ref.version}"


def _suffixes(tags: Iterable[str], prefix: str) -> list[str]:
    return sorted(tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix))


def lineage(registry: Registry, model: str) -> LineageGraph:
    """Walk the registry from a model in both directions.

    Args:
        registry: where to look.
        model: `name`, `name@alias`, `name/version`, each also with `models:/` in front.

    Raises:
        FeatrixUserError: there is no such model.
    """
    root = registry.resolve(model)
    walk = _Walk(registry)
    walk.upstream(root)
    walk.downstream(root)
    return LineageGraph(
        root=_model_id(root),
        nodes=tuple(walk.nodes[node_id] for node_id in sorted(walk.nodes)),
        edges=tuple(LineageEdge(source=a, target=b) for a, b in sorted(walk.edges)),
    )
