"""All counts together, and what they must be."""

import json
import subprocess
import sys

from robustness import files, kills

FILES = {"cards": 800, "weights": 250, "images": 600, "npz": 600}
FILES |= {"folders": 150, "servers": 150, "zips": 300, "TFRecords": 300, "MIDI": 300, "WAV": 300}


def everything(folder, share=1.0, only=(*FILES, "kills"), seed=0, report=None):
    """(counts by kind, the cases that should not have happened) of a share of all files and kills."""
    counts, wrong = {}, []
    for kind in (kind for kind in FILES if kind in only):
        with files.Worker(folder / kind) as worker:
            counts[kind], found = files.damaged(kind, max(1, round(share * FILES[kind])), worker, seed, report)
            wrong += found
    if "kills" in only:
        wanted = {kind: max(1, round(share * whole)) for kind, whole in kills.KINDS.items()}
        counts["kills"], found = killed(wanted, folder / "kills", seed, report)
        wrong += found
    return counts, wrong


def killed(wanted, folder, seed, report):
    """`kills.kills` in a process of its own, which has run nothing before it forks."""
    command = [sys.executable, "-m", "robustness.kills"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    counts, wrong = {}, []
    for kind, number in wanted.items():
        given = json.dumps([{kind: number}, str(folder), seed]) + "\n"
        done = subprocess.run(command, env=files.environment(), input=given, **pipes, check=True)
        found, more = json.loads(done.stdout.splitlines()[-1])
        counts |= found
        wrong += more
        if report is not None:
            report(f"kills of {kind}", number, number)
    return counts, wrong


def summary(counts):
    """What happened that must not, each of which is to be 0."""
    damaged = [entry for kind, entry in counts.items() if kind != "kills"]
    writers = counts.get("kills", {}).values()
    return {
        "executions": sum(entry["executions"] for entry in damaged),
        "hangs": sum(entry["hang"] for entry in damaged),
        "memory over 2 GB": sum(entry["over_2_gigabytes"] for entry in damaged),
        "tracebacks": sum(entry["traceback"] for entry in damaged),
        "crashes": sum(entry["crash"] for entry in damaged),
        "half-loaded": sum(entry["half"] for entry in damaged),
        "files outside": sum(entry.get("outside", 0) for entry in damaged),
        "half-written": sum(entry["half_written"] for entry in writers),
        "rows lost": sum(entry["rows_lost"] for entry in writers),
        "litter after the next write": sum(entry["litter_after_the_next"] for entry in writers),
    }


def table(counts):
    """The counts as a Markdown table."""
    lines = [
        "| damaged files, or kills | cases | taken | refused in one line | must not happen |",
        "|---|---|---|---|---|",
    ]
    for kind, entry in counts.items():
        if kind in FILES:
            harm = sum(summary({kind: entry}).values())
            lines.append(f"| {kind} | {entry['files']} | {entry['taken']} | {entry['refused']} | {harm} |")
    for kind, entry in counts.get("kills", {}).items():
        harm = sum(summary({"kills": {kind: entry}}).values())
        lines.append(f"| kills while writing: {kind} | {entry['kills']} | | | {harm} |")
    return "\n".join(lines) + "\n"
