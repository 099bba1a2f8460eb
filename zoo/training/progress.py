"""What training prints: a line an epoch, and on a terminal a bar within it."""

import sys
import time

import keras

NEAR = 10  # seconds by which an estimate of the end may be off
SAID = ("loss", "elbo", "kl", "reconstruction")  # terms with a place of their own in the line
WIDTH = 80  # characters of a line; terms beyond it are in the log alone
MANY = 3  # latents, of more of which the units are counted together


class Progress(keras.callbacks.Callback):
    """Prints a line an epoch, and within it on a terminal a bar, in a notebook a line that changes, without widgets.

        12/40  ELBO -23.6 (val -23.5)  KL 3.6  rec -20.0  units 8/8  0.3 s

    The ELBO, its KL and its reconstruction, in nats; the loss where it is not minus the ELBO; further terms, such as
    penalties, by name, as far as 80 characters hold them (`log.csv` has all); how many units of each latent are in use,
    of more than three all together; updates that were skipped, where there are any. After
    the first epoch it says when the last one will be over, and after the second where that was far from it: where each
    shape of batches is compiled, or an epoch is a few calls, compiling cannot be told from the rest.
    """

    prints_epochs = comes_with_calls = True

    def __init__(self):
        super().__init__()
        self.bar, self.shown = None, 0.0

    def on_train_begin(self, logs=None):
        self.compiling, self.paces = True, []

    def on_epoch_begin(self, epoch, logs=None):
        self.begun = time.perf_counter()
        self.training, self.validation = [(0, self.begun)], []
        self.place = f"{epoch + 1}/{self.params.get('epochs')}"
        steps = self.params.get("steps")
        if self.compiling and not sys.stdout.isatty():
            updates = f"{steps} updates an epoch" if steps else "training"
            print(f"{updates}; the first one is compiled before it runs", flush=True)
        if sys.stdout.isatty():
            self.bar = bar()
            self.bar.start()
            self.bar.console.show_cursor()  # which an interrupted `fit` would leave hidden
            said = f"{self.place}  compiling the first update" if self.compiling else self.place
            self.task = self.bar.add_task(said, total=steps)
            self.bar.refresh()

    def on_train_batch_end(self, batch, logs=None):
        self.training[2:] = [(batch + 1, time.perf_counter())]  # behind the start and the first call, the last
        self.show(batch + 1, self.place)

    def on_test_begin(self, logs=None):
        self.validation = [(0, time.perf_counter())]
        self.show(None, f"{getattr(self, 'place', '')}  validating")

    def on_test_batch_end(self, batch, logs=None):
        self.validation[2:] = [(batch + 1, time.perf_counter())]

    def show(self, done, said):
        """Move the bar, or write the notebook's line anew, a few times a second."""
        now = time.perf_counter()
        if not (self.compiling or done is None or now - self.shown > 0.1):
            return
        if self.bar:
            self.bar.update(self.task, completed=done, description=said)
            self.bar.refresh()
        elif in_notebook():
            of = f"  {done}/{self.params.get('steps') or '?'}" if done else ""
            print(f"\r{said}{of}".ljust(WIDTH), end="", flush=True)
        self.shown, self.compiling = now, False

    def on_epoch_end(self, epoch, logs=None):
        self.close()
        self.compiling = False
        seconds = time.perf_counter() - self.begun
        line = fitting([self.place, *words(self.model, logs or {}), duration(seconds)])
        print(f"\r{line.ljust(WIDTH)}".rstrip() if in_notebook() else line, flush=True)
        if len(self.paces) < 2 and (left := self.params["epochs"] - epoch - 1):
            self.paces.append(seconds - compiling(self.training) - compiling(self.validation))
            self.estimate(left)

    def estimate(self, left):
        """Say what so many epochs will take, unless that was said and is still about right."""
        rest = left * self.paces[-1]
        if len(self.paces) == 1 or abs(left * self.paces[0] - rest) > max(NEAR, rest / 2):
            until = time.strftime("%H:%M", time.localtime(time.time() + rest))
            print(f"about {duration(rest)} to go, until {until}", flush=True)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Take the bar off the terminal."""
        if self.bar:
            self.bar.stop()
        self.bar = None


def bar():
    """A Rich progress bar that is gone afterwards, and that moves when it is told to alone."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bar(*columns, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)


def words(model, logs):
    """The parts of an epoch's line."""
    first = "elbo" if "elbo" in logs else "loss"
    validated = f" (val {number(logs[f'val_{first}'])})" if f"val_{first}" in logs else ""
    validated = "" if "elbo_per_step" in logs else validated  # which is said of a step
    yield f"{'ELBO' if first == 'elbo' else first} {number(logs[first])}{validated}"
    for term, name in (("kl", "KL"), ("reconstruction", "rec")):
        if term in logs:
            yield f"{name} {number(logs[term])}"
    if "elbo_per_step" in logs:
        validated = f" (val {logs['val_elbo_per_step']:.3f})" if "val_elbo_per_step" in logs else ""
        yield f"a step {logs['elbo_per_step']:.3f}{validated}"
    if first == "elbo" and number(-logs["loss"]) != number(logs["elbo"]):
        yield f"loss {number(logs['loss'])}"
    for term in model.term_metrics:
        if term in logs and term not in SAID and not term.startswith("kl_"):
            yield f"{term} {number(logs[term])}"
    metrics = [metric for metric in model.unit_metrics.values() if metric.name in logs]
    if metrics:
        used, total = [round(float(logs[m.name])) for m in metrics], [m.total.shape[0] for m in metrics]
        counts = (used, total) if len(metrics) <= MANY else ([sum(used)], [sum(total)])
        yield f"units {'/'.join('+'.join(map(str, count)) for count in counts)}"
    if logs.get("skipped"):
        yield f"skipped {logs['skipped']:.0f}"


def fitting(parts):
    """An epoch's parts as one line of `WIDTH`: further terms are left out first, then rec and KL, which the log has."""
    per_step = any(part.startswith("a step ") for part in parts)
    always = ("a step ", "units ", "skipped ") if per_step else ("ELBO ", "units ", "skipped ")
    kept, spare = list(parts), [part for part in parts[-2:0:-1] if not part.startswith(always)]
    for part in sorted(spare, key=lambda part: part.startswith(("loss ", "rec ", "KL ", "ELBO "))):
        if len("  ".join(kept)) > WIDTH:
            kept.remove(part)
    return "  ".join(kept)


def in_notebook():
    """Whether standard output is a cell's of a notebook, where a line may be written anew and no terminal is."""
    return type(sys.stdout).__module__.startswith("ipykernel")


def number(value):
    """A value with one digit after the point, two significant ones where it is small, none where it is large."""
    if abs(value) >= 1000:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def compiling(calls):
    """Seconds that the first call into TensorFlow took beyond the pace of the later ones; 0 where that is not known.

    Args:
        calls: (batches so far, time) at the start, after the first call and after the last.
    """
    if len(calls) < 3:
        return 0.0
    (_, begun), (first, compiled), (last, ended) = calls
    return compiled - begun - first * (ended - compiled) / (last - first)


def duration(seconds):
    """Seconds, or minutes and seconds."""
    return f"{seconds:.1f} s" if seconds < 60 else f"{seconds // 60:.0f}:{seconds % 60:02.0f} min"
