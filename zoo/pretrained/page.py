"""A model's page: its card as Markdown, with the pictures beside it."""

from zoo.evaluation import collapse_report
from zoo.registry import METRICS

REFUSED = "refused"  # by the LiteRT GPU path, in a card's table of TFLite files
FIRST = ("reconstructions", "samples", "piano_roll", "waveform")
CAPTIONS = {  # of the kinds of pictures
    "analogies": "A row a test image, in the first column; then what its latent code gives with each label.",
    "interpolations": "A row a pair of test images; between their reconstructions a walk through the latent.",
    "kl": "KL of each latent unit during training, the units sorted by their last value.",
    "latents": "Where test examples lie in the latent.",
    "levels": "Test images, then what is kept of them by ever fewer levels of the hierarchy.",
    "manifold": "Decoded points of the latent plane, even in probability.",
    "piano_roll": "A held-out piece, and below it draws of the model.",
    "reconstructions": "Test images, and below them their reconstructions.",
    "samples": "Draws from the prior, decoded.",
    "spectrogram": "The power at each frequency against time: a held-out sequence, and below it draws.",
    "styles": "The same points of the latent plane with every label, a panel a class.",
    "training": "The bound and its parts against the epoch.",
    "traversals": "A row a latent unit, moved while the others stay at one test image's code.",
    "waveform": "A held-out recording, and below it draws of the model.",
}
PLAYED = ("samples.mid", "samples.wav")


def page(home, card, address=None):
    """The page of the card in the folder `home`; `address` is what `zoo.load` takes, where that is not the name."""
    data, evaluation = card.get("data", {}), card.get("evaluation", {})
    lines = [
        f"# {card['name']}",
        "",
        f"`{card['model']}` trained on `{data.get('name')}` ({data.get('split', 'train')}), "
        f"{card.get('epochs_trained')} epochs, seed {card.get('seed')}.",
        "",
        "```python",
        "import zoo",
        "",
        f'model = zoo.load("{address or card["name"]}")',
        "```",
        "",
        *picture_lines(home),
        *metric_table(card),
        *(line for sentence in collapse_report(card.get("metrics", {})) for line in (sentence, "")),
        *target_lines(card),
        *reference_table(card),
        f"Recipe and weights chosen on: {card.get('chosen_on', 'not recorded')}.",
        "",
        f"Data protocol: {data.get('protocol', 'as given')}",
        "",
        f"Binarisation: {card['config'].get('binarize') or 'none'}. "
        + " ".join(
            f"Measured on the {entry['split']} split by `{entry['command']}`."
            for entry in (evaluation, *evaluation.values())
            if isinstance(entry, dict) and "command" in entry
        ),
        "",
        *tflite_table(card),
        *(["Notes:", "", *(f"- {note}" for note in card["notes"]), ""] if card.get("notes") else []),
        f"Trained by `{card.get('command')}`{timing(card)}.",
        "",
        *setting_table(card),
        f"Weights: {card['weights'].get('bytes', 0) / 1e6:.2f} MB, SHA-256 `{card['weights']['sha256']}`. "
        "Versions: " + ", ".join(f"{k} {v}" for k, v in card["versions"].items()) + f". {card['date']}.",
        "",
    ]
    return "\n".join(lines)


def setting_table(card):
    """The arguments of the model and the settings of its training as Markdown lines, but what is not set."""
    parts = [("model", card.get("config", {})), ("training", card.get("recipe", {}))]
    parts += [(f"stage {number}", stage) for number, stage in enumerate(card.get("stages", ()), 1)]
    parts += [("begun from", card["from"])] if "from" in card else []
    flat = [(said, name, value) for said, part in parts for name, value in flattened(part).items() if value is not None]
    return ["| of | setting | value |", "|---|---|---|", *(f"| {a} | {b} | `{c}` |" for a, b, c in flat), ""]


def flattened(settings, before=""):
    """{"encoder.name": "conv", ...} of nested settings."""
    if not isinstance(settings, dict):
        return {before.rstrip("."): settings}
    parts = (flattened(value, f"{before}{name}.") for name, value in settings.items())
    return {name: value for part in parts for name, value in part.items()}


def timing(card):
    """How long the training took, where, and how much memory, as a clause; "" of a card that does not say."""
    if "timing" not in card:
        return ""
    took = card["timing"]
    machine = took["machine"]
    memory = f", {took['peak_memory_bytes'] / 2**30:.1f} GiB of memory at most" if "peak_memory_bytes" in took else ""
    cores = f"{machine['cores']} core{'s' if machine['cores'] > 1 else ''} ({machine['processor']})"
    place = " and ".join([cores, *machine.get("accelerators", [])])
    again = f", by {took['epochs_timed']} epochs done again" if "epochs_timed" in took else ""
    minutes = f"{'about ' if again else ''}{took['seconds'] / 60:.1f} minutes"
    return f" in {minutes}, {took['seconds_per_epoch']:.2f} s an epoch{memory}, on {place}{again}"


def metric_table(card):
    """The measured numbers as Markdown lines."""
    if not card.get("metrics"):
        return []
    said = "sequence" if "elbo_per_step" in card["metrics"] else "image"
    lines = [f"| metric | value | standard error | {said}s | samples |", "|---|---|---|---|---|"]
    for name, metric in card["metrics"].items():
        value = f"{metric['value']} of {metric['of']}" if "of" in metric else f"{metric['value']:.3f}"
        error = f"{metric['standard_error']:.3f}" if metric.get("standard_error") else ""
        name = f"{name}, given {metric['given']}" if "given" in metric else name
        images = f"{metric['num_examples']} {metric.get('data', '')}".strip()
        draws = str(metric.get("num_samples", ""))
        if "num_runs" in metric:
            draws = ", ".join([f"{metric['num_runs']} run{'s' * (metric['num_runs'] > 1)}", *filter(None, [draws])])
        if "num_chains" in metric:
            draws = ", ".join(
                [f"{metric['num_chains']} chains of {metric['num_temperatures']}", *filter(None, [draws])]
            )
        lines.append(f"| {name} | {value} | {error} | {images} | {draws} |")
        if "pooled" in metric:
            lines.append(f"| {name}, sum over sum | {metric['pooled']:.3f} | | {images} | {draws} |")
    return [
        *lines,
        "",
        f"Nats per {said}, unless {'per step' if said == 'sequence' else 'bits per dimension or percent'}.",
        "",
    ]


def target_lines(card):
    """Whether what was aimed at was reached, as Markdown lines."""
    lines = []
    for metric, aim in card.get("target", {}).items():
        if metric in card.get("metrics", {}):
            value, higher = card["metrics"][metric]["value"], metric in METRICS and METRICS[metric].higher_is_better
            met = value >= aim if higher else value <= aim
            side = "higher" if higher else "lower"
            lines += [f"Target: {metric} {aim} or {side}: {'met' if met else 'missed'} ({value:.2f}).", ""]
    return lines


def reference_table(card):
    """Published numbers beside the measured ones, as Markdown lines."""
    if not card.get("reference"):
        return []
    lines = ["| published | value | here |", "|---|---|---|"]
    for entry in card["reference"]:
        measured = card.get("metrics", {}).get(entry["metric"])
        here = f"{measured[entry.get('statistic', 'value')]:.2f}" if measured else ""
        lines.append(f"| {entry['source']} ({entry['metric']}) | {entry['value']} | {here} |")
    return [*lines, ""]


def picture_lines(home):
    """The pictures beside the card, and what can be played, as Markdown."""
    kinds = sorted((path.stem for path in home.glob("*.png")), key=lambda kind: (kind not in FIRST, kind))
    played = [f"Four draws to listen to: [{name}]({name})." for name in PLAYED if (home / name).exists()]
    drawn = [line for kind in kinds for line in (f"![{kind}]({kind}.png)", "", f"*{CAPTIONS.get(kind, kind)}*", "")]
    return [*drawn, *(line for shown in played for line in (shown, ""))]


def tflite_table(card):
    """Largest differences of the TFLite files from Keras, as Markdown lines."""
    if not card.get("tflite"):
        return []
    lines = ["| TFLite | endpoint | size | CPU | GPU path |", "|---|---|---|---|---|"]
    for dtype, entry in card["tflite"].items():
        for endpoint, result in entry.items():
            if endpoint != "bytes":
                words = {None: "not measured", REFUSED: "CPU only"}
                gpu = words.get(result["gpu"]) or f"{result['gpu']:.1e}"
                lines.append(f"| {dtype} | {endpoint} | {entry['bytes'] / 1e6:.2f} MB | {result['cpu']:.1e} | {gpu} |")
    partly = " A file for the GPU path is exported of the other endpoints." if "CPU only" in "".join(lines) else ""
    return [*lines, "", f"Largest absolute differences from Keras.{partly}", ""]
