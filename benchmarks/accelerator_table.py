"""The tables of what `accelerator.py` found."""

import statistics

from rounds import markdown
from rounds import spread


def table(report):
    """Markdown of all that ran, and of what did not.

    Args:
        report: The dictionary that `accelerator.py` writes.

    Returns:
        A string.
    """
    parts = [f"# {report.get('device', 'unknown device')}", versions(report)]
    for name, make in (
        ("Steps, mixed bfloat16", steps),
        ("Tiled loss against plain loss, JAX, bfloat16", tiles),
        ("Sampled tokens a second, bfloat16", rollouts),
        ("Online", online),
        ("A mesh of one device", mesh),
        ("Not measured", failures),
    ):
        text = make(report)
        if text:
            parts.append(f"## {name}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def versions(report):
    found = ", ".join(
        f"{name} {version}"
        for name, version in report.get("versions", {}).items()
    )
    rates = [
        f"{backend} {peak(report, backend) / 1e12:,.1f} TFLOP/s"
        for backend in ("jax", "torch")
        if peak(report, backend)
    ]
    if rates:
        found += f". Matrix product in bfloat16: {', '.join(rates)}"
    return f"{found}."


def lines(report, name):
    """What a job printed, nothing where it did not run."""
    return report["jobs"].get(name, {}).get("lines", [])


def peak(report, backend):
    found = lines(report, f"peak, {backend}")
    return found[-1]["flops_per_second"] if found else None


def steps(report):
    rows = []
    for job in report["jobs"]:
        kind, _, rest = job.partition(", ")
        if kind != "step" or not lines(report, job):
            continue
        model, contender = rest.split(", ", 1)
        found = lines(report, job)[-1]
        batch, length = report["plan"]["models"][model]
        backend = "torch" if contender in ("transformers", "trl") else "jax"
        rate = peak(report, backend)
        seconds = found["seconds"]
        others = lines(report, f"step, {model}, transformers")
        row = [f"{model}, {contender}", f"{seconds:.4f}"]
        row.append(f"{batch * length / seconds:,.0f}")
        row.append(f"{found['mebibytes']:,.0f}")
        row.append(f"{found['flops'] / seconds / rate:.1%}" if rate else "")
        ratio = seconds / others[-1]["seconds"] if others else None
        row.append(f"{ratio:.2f}" if ratio else "")
        # Of steps that were compiled before, it says nothing.
        if not report.get("is_compiled_before"):
            row.append(f"{found['first_step']:.1f}")
        rows.append(row)
    header = ["step", "s", "tokens / s", "MiB", "of the peak"]
    header += ["time / transformers"]
    if not report.get("is_compiled_before"):
        header.append("first step, s")
    return markdown(header, sorted(rows)) if rows else ""


def tile_lines(report):
    """What was measured of tiles, of all heads."""
    return [
        line
        for job in report["jobs"]
        if job.startswith("tiles")
        for line in lines(report, job)
    ]


def tiles(report):
    found = tile_lines(report)
    if not found:
        return ""
    rows = [
        [
            f"{x['vocabulary']:,} × {x['width']:,}",
            x["block_size"] or "plain",
            f"{x['tile_size'] or 'plain'}{', kept' * x['is_kept']}",
            f"{1000 * x['seconds']:.2f}",
            spread(x["ratios"]),
            f"{x['temporary_mebibytes']:,.0f}",
        ]
        for x in found
    ]
    header = ["V × D", "block", "tile", "ms", "time / plain (range)", "MiB"]
    pair = best_tiling(found)
    told = ""
    if pair:
        told = (
            f"\n\nBest over all heads: blocks of {pair[0]}, tiles of {pair[1]}."
        )
    return markdown(header, rows) + told


def best_tiling(found):
    """The block and tile size of the lowest mean ratio, over all heads.

    Args:
        found: Lines of `accelerator_tiles.py`.

    Returns:
        A pair of integers, or `None` where no pair ran for every head.
    """
    heads = {(x["vocabulary"], x["width"]) for x in found}
    by_pair = {}
    for x in found:
        if x["block_size"] and not x["is_kept"]:
            pair = (x["block_size"], x["tile_size"])
            by_pair.setdefault(pair, []).append(statistics.median(x["ratios"]))
    complete = {
        pair: statistics.fmean(ratios)
        for pair, ratios in by_pair.items()
        if len(ratios) == len(heads)
    }
    return min(complete, key=complete.get) if complete else None


def rollouts(report):
    rows = []
    for model in report["plan"]["sampled"]:
        ours = lines(report, f"rollouts, {model}, keras_irl")
        peers = lines(report, f"rollouts, {model}, transformers")
        if not ours:
            continue
        for batch, rate in ours[-1].items():
            peer = peers[-1].get(batch) if peers else None
            row = [f"{model}, batch {batch}", f"{rate:,.0f}"]
            row.append(f"{peer:,.0f}" if peer else "")
            rows.append([*row, f"{rate / peer:.2f}" if peer else ""])
    header = ["rollouts", "keras_irl", "transformers", "ratio"]
    return markdown(header, rows) if rows else ""


def online(report):
    told = [
        online_ratio(report, *pair)
        for pair in (("OnlineIQLearn", "IQLearn"), ("GAIL", "MLE"))
    ]
    return " ".join(text for text in told if text)


def online_ratio(report, name, offline):
    model = report["plan"]["online"]
    pair = [
        lines(report, f"online, {model}, {kind}") for kind in (name, offline)
    ]
    if not all(pair):
        return ""
    first, second = (found[-1] for found in pair)
    ratio = first["seconds"] / second["seconds"]
    return (
        f"{model}: a step of {name} takes {first['seconds']:.4f} s, of which "
        f"sampling {first['sampling']:.4f}, and {ratio:.2f} steps of {offline}."
    )


def mesh(report):
    rows = []
    for job in report["jobs"]:
        if not job.startswith("mesh") or not lines(report, job):
            continue
        found = lines(report, job)[-1]
        bare = found["none"]
        for strategy, x in found.items():
            # Random weights, the same for all; bfloat16 rounds by 1 in 256.
            gap = max(
                abs(a - b) / abs(b)
                for a, b in zip(x["losses"], bare["losses"], strict=True)
            )
            ratio = x["seconds"] / bare["seconds"]
            rows.append([strategy, f"{ratio:.2f}", f"{gap:.1e}"])
    header = ["strategy", "time / no mesh", "largest difference of a loss"]
    return markdown(header, rows) if rows else ""


def failures(report):
    found = []
    for name, job in report["jobs"].items():
        if job["status"] != "done":
            why = "".join(job.get("error", "").splitlines()[-1:])
            told = f"- {name}: {job['status']} after {job['wall']} s. {why}"
            found.append(told.strip())
    return "\n".join(found)
