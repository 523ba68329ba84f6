"""What `benchmarks.strings` found, as tables, beside what was aimed at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NOTHING = "Nothing is measured yet."
_FLAT = 1.05
Result = Mapping[str, Any]


def targets(result: Result) -> list[dict[str, Any]]:
    """Every target: what, the figure, the aim and whether it is met."""
    soak, memory, jobs = result["soak"], result["memory"], result["jobs"]
    at_8 = [row for row in result["uncached"] if row["callers"] == 8]
    rows = [
        (f"uncached, 8 callers, {row['texts']}: × encode", row["ratio"], ">=", 1.2) for row in at_8
    ]
    cached = result["cached_per_second"]
    rows += [(f"cached texts per second, {form}", cached[form], ">=", 20_000.0) for form in cached]
    rows += [
        ("one text, p50, ms", result["latency_idle"]["p50_ms"], "<=", 8.0),
        ("64 callers: errors other than 429", float(soak["errors"]), "<=", 0.0),
        (
            "64 callers: memory at the end / start",
            soak["last_mib"] / soak["first_mib"],
            "<=",
            _FLAT,
        ),
        ("memory while loading, MiB", memory["loading_mib"], "<=", memory["reserved_mib"]),
        ("memory beside the cache, MiB", memory["beside_cache_mib"], "<=", memory["reserved_mib"]),
        ("MiB saved by jobs that share a service", jobs["saved_mib"], ">=", 0.0),
    ]
    return [
        {
            "what": what,
            "figure": figure,
            "aim": f"{sign} {aim:g}",
            "met": figure >= aim if sign == ">=" else figure <= aim,
        }
        for what, figure, sign, aim in rows
    ]


def lines(result: Result) -> list[str]:
    """Markdown of a result."""
    found = ["| target | measured | aim | met |", "| --- | --: | --: | --- |"]
    for row in result["targets"]:
        met = "yes" if row["met"] else "**no**"
        found.append(f"| {row['what']} | {row['figure']:,.4g} | {row['aim']} | {met} |")
    found += [
        "",
        "| texts | callers | texts a request | over HTTP (compact form, decoded), per second "
        "| `encode`, per second | ratio |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for row in result["uncached"]:
        found.append(
            f"| {row['texts']} | {row['callers']} | {row['per_request']} | {row['http_per_second']:,.0f} "
            f"| {row['encode_per_second']:,.0f} (batches of {row['encode_batch_size']}) | {row['ratio']:.2f} |"
        )
    idle, loaded = result["latency_idle"], result["latency_loaded"]
    memory, jobs, soaked = result["memory"], result["jobs"], result["soak"]
    info = result["machine"]
    decoding = ", ".join(f"{name[:-3]} {ms:.0f}" for name, ms in result["decoding"].items())
    held = {
        name[:-4]: f"{mib:,.0f}"
        for name, mib in {**memory, **jobs}.items()
        if name.endswith("_mib")
    }
    found += [
        "",
        f"- One new text: p50 {idle['p50_ms']:.1f} ms, p99 {idle['p99_ms']:.1f} ms; beside 8 callers of 32 texts "
        f"each {loaded['p50_ms']:.1f} and {loaded['p99_ms']:.1f} ms.",
        f"- Start until ready: {result['start_seconds']:.1f} s. Processor time to read the largest body, in ms: "
        f"{decoding}.",
        f"- Memory in MiB: {held['loading']} at most while loading, {held['started']} when ready, "
        f"{held['largest_batch']} at most after the longest texts, "
        f"{held['largest_requests']} at most after the largest requests; {held['full_cache']} with "
        f"{memory['cache_entries']:,.0f} entries in the cache, which takes {held['cache']} of them; at most "
        f"{held['most']}. Beside the cache a pod needs {held['loading']} while loading and "
        f"{held['beside_cache']} later; the chart reserves {held['reserved']}.",
        f"- {soaked['seconds']:.0f} s of 64 callers, answers by status: {_counts(soaked['answers'])}.",
        f"- {jobs['count']:.0f} jobs that import what training does, MiB in all: {held['shared_service']} with one "
        f"service (included), {held['own_torch']} with a model each in torch, {held['own_onnx']} in ONNX Runtime.",
        "",
        f"`make bench-strings`, {info['date']}, {info['processor']}, {info['cores']} cores, load before "
        f"{result['load_before']:.1f}.",
    ]
    return found


def _counts(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(answers.items()))
