"""Speed of models of sequences: training against plain PyTorch and Pyro, time against length, and particle filters.

    python benchmarks/sequence_speed.py --json benchmarks/results/sequence_speed.json

Training is that of `vrnn` and `dmm` (state, hidden layers and latents of `--units`, a GRU, the ELBO of one draw, Adam
1e-3) on JSB chorales in the zoo's own batches, against the loop that one writes by hand in PyTorch: the same network,
with what depends on x alone made before the loop, and the same padded batches in memory. Pyro's side is the deep Markov
model of its example, of the same sizes, with its own SVI step; its network differs in where the recurrent net sits, so
that its parameters are counted apart. Sides live in processes of their own, and their rounds are run in turn; compiling
is in the first round, which is reported apart. Then milliseconds of a training step at several lengths, and of a
particle filter with 1 and with 128 particles. PyTorch and Pyro are skipped where they are not installed.
"""

import argparse
import importlib.util
import os
import platform
import statistics
import time

import numpy as np
from importance_speed import parameters_of
from train_speed import RATE, conclude, of_aim, race, versions

KEYS, BATCH = 88, 20
AIM, LINEAR, PARTICLES, FILTER_AIM = 1.0, 1.25, 128, 20


def batches(split="train"):
    """[(x float32 [B, T, 88], length [B])] of one pass."""
    import zoo

    data = zoo.load_dataset("jsb_chorales", split, BATCH, shuffle=False)
    return [(batch["x"].numpy(), batch["length"].numpy()) for batch in data]


def sizes(units):
    return {"state_dim": units, "hidden_units": [units], "latent_dim": units}


# The sides: (model, units, batches) -> (a function that trains for one pass and returns its loss, parameters). Torch's
# are given the batches, for its compiler does not load beside TensorFlow.


def ours(name, units, data):
    """Keras' fit, compiled by XLA."""
    import zoo

    model = zoo.create(name, data_shape=(None, KEYS), **sizes(units))
    model.compile("adam", jit_compile=True)
    model.optimizer.learning_rate = RATE
    own = zoo.load_dataset("jsb_chorales", "train", BATCH, shuffle=False)
    return lambda: model.fit(own, verbose=0).history["loss"][0], parameters_of(model)


def pytorch(name, units, data):
    """The loop one writes by hand."""
    import torch

    model = {"vrnn": torch_vrnn, "dmm": torch_dmm}[name](units)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    data = [(torch.tensor(x).transpose(0, 1), torch.tensor(length)) for x, length in data]

    def epoch():
        total = 0.0
        for x, length in data:
            real = (torch.arange(len(x))[:, None] < length).float()
            loss = -model(x, real).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(length)
        return total / sum(len(length) for _, length in data)

    return epoch, sum(p.numel() for p in model.parameters())


def layers(*sizes):
    """Dense layers, all but the last with a leaky ReLU."""
    from torch import nn

    found = [part for pair in zip(sizes, sizes[1:], strict=False) for part in (nn.Linear(*pair), nn.LeakyReLU(0.2))]
    return nn.Sequential(*found[:-1])


def hidden(*sizes):
    from torch import nn

    return nn.Sequential(layers(*sizes), nn.LeakyReLU(0.2))


def normal(raw):
    """(loc, scale) of a layer's output."""
    from torch.nn.functional import softplus

    loc, raw = raw.chunk(2, -1)
    return loc, softplus(raw) + 1e-4


def divergence(q, p):
    """[B]: KL(q || p) of Gaussians (loc, scale)."""
    ratio, distance = (q[1] / p[1]).square(), ((q[0] - p[0]) / p[1]).square()
    return 0.5 * (ratio + distance - 1 - ratio.log()).sum(-1)


def log_likelihood(logits, x, real):
    """[B] of Bernoulli logits [T, B, 88]."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    return -(binary_cross_entropy_with_logits(logits, x, reduction="none").sum(-1) * real).sum(0)


def gru(gates, h, kernel):
    """A GRU's next state from what the inputs add to its gates, and the state's own product."""
    import torch

    inner, (a, b, c) = kernel(h).chunk(3, -1), gates.chunk(3, -1)
    keep = torch.sigmoid(a + inner[0])
    return keep * h + (1 - keep) * torch.tanh(c + torch.sigmoid(b + inner[1]) * inner[2])


def torch_vrnn(units):
    import torch
    from torch import nn

    class VRNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder, self.features = hidden(KEYS, units), hidden(units, units)
            self.decoder = layers(2 * units, units, KEYS)
            self.prior, self.posterior = layers(units, units, 2 * units), layers(2 * units, units, 2 * units)
            self.from_data = nn.Linear(units, 3 * units)
            self.from_latent = nn.Linear(units, 3 * units, bias=False)
            self.kernel = nn.Linear(units, 3 * units)

        def forward(self, x, real):
            seen = self.encoder(x)
            gates, h = self.from_data(seen), x.new_zeros(x.shape[1], units)
            codes, kl = [], 0.0
            for t in range(len(x)):
                p, q = normal(self.prior(h)), normal(self.posterior(torch.cat([seen[t], h], -1)))
                features = self.features(q[0] + q[1] * torch.randn_like(q[0]))
                codes.append(torch.cat([features, h], -1))
                kl = kl + real[t] * divergence(q, p)
                new = gru(gates[t] + self.from_latent(features), h, self.kernel)
                h = torch.where(real[t][:, None] > 0, new, h)
            return log_likelihood(self.decoder(torch.stack(codes)), x, real) - kl

    return VRNN()


def torch_dmm(units):
    import torch
    from torch import nn
    from torch.nn.functional import softplus

    class DMM(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Parameter(torch.zeros(units))
            self.encoder, self.decoder = hidden(KEYS, units), layers(units, units, KEYS)
            self.gate, self.proposal = layers(units, units, units), layers(units, units, units)
            self.linear, self.scale = nn.Linear(units, units), nn.Linear(units, units)
            self.kernel, self.from_data = nn.Linear(units, 3 * units), nn.Linear(units, 3 * units)
            self.combine, self.posterior = nn.Linear(units, units), nn.Linear(units, 2 * units)

        def forward(self, x, real):
            gates, h = self.from_data(self.encoder(x)), x.new_zeros(x.shape[1], units)
            future = [None] * len(x)
            for t in reversed(range(len(x))):
                h = torch.where(real[t][:, None] > 0, gru(gates[t], h, self.kernel), h)
                future[t] = h
            z, codes, kl = self.first.expand(x.shape[1], units), [], 0.0
            for t in range(len(x)):
                gate, proposed = torch.sigmoid(self.gate(z)), self.proposal(z)
                loc = (1 - gate) * (z + self.linear(z)) + gate * proposed
                p = loc, softplus(self.scale(torch.relu(proposed))) + 1e-4
                q = normal(self.posterior(0.5 * (torch.tanh(self.combine(z)) + future[t])))
                z = q[0] + q[1] * torch.randn_like(q[0])
                codes.append(z)
                kl = kl + real[t] * divergence(q, p)
            return log_likelihood(self.decoder(torch.stack(codes)), x, real) - kl

    return DMM()


def pyro(name, units, data):
    """Pyro's deep Markov model: a guide with a backward GRU, one SVI step a batch."""
    import pyro
    import pyro.distributions as dist
    import torch
    from pyro.infer import SVI, Trace_ELBO
    from torch import nn
    from torch.nn.functional import softplus

    pyro.clear_param_store()
    inner = torch_dmm(units)
    recurrent = nn.GRU(KEYS, units)
    inner.encoder = inner.kernel = inner.from_data = nn.Identity()  # the recurrent net reads the keys themselves

    def model(x, real):
        pyro.module("dmm", inner)
        z = inner.first.expand(x.shape[1], units)
        with pyro.plate("rows", x.shape[1]):
            for t in pyro.markov(range(len(x))):
                gate, proposed = torch.sigmoid(inner.gate(z)), inner.proposal(z)
                loc = (1 - gate) * (z + inner.linear(z)) + gate * proposed
                scale = softplus(inner.scale(torch.relu(proposed))) + 1e-4
                z = pyro.sample(f"z{t}", dist.Normal(loc, scale).mask(real[t][:, None]).to_event(1))
                p = dist.Bernoulli(logits=inner.decoder(z)).mask(real[t][:, None]).to_event(1)
                pyro.sample(f"x{t}", p, obs=x[t])

    def guide(x, real):
        pyro.module("dmm", inner), pyro.module("recurrent", recurrent)
        lengths = real.sum(0).long()
        reversed_x = torch.stack([row.roll(int(n), 0) for row, n in zip(x.flip(0).unbind(1), lengths, strict=True)], 1)
        future = recurrent(reversed_x)[0]
        future = torch.stack([row.roll(int(n), 0) for row, n in zip(future.flip(0).unbind(1), lengths, strict=True)], 1)
        z = inner.first.expand(x.shape[1], units)
        with pyro.plate("rows", x.shape[1]):
            for t in pyro.markov(range(len(x))):
                loc, scale = normal(inner.posterior(0.5 * (torch.tanh(inner.combine(z)) + future[t])))
                z = pyro.sample(f"z{t}", dist.Normal(loc, scale).mask(real[t][:, None]).to_event(1))

    svi = SVI(model, guide, pyro.optim.Adam({"lr": RATE}), Trace_ELBO())
    data = [(torch.tensor(x).transpose(0, 1), torch.tensor(length)) for x, length in data]

    def epoch():
        total = sum(svi.step(x, torch.arange(len(x))[:, None] < length) for x, length in data)
        return total / sum(len(length) for _, length in data)

    return epoch, sum(p.numel() for part in (inner, recurrent) for p in part.parameters())


SIDES = {"ours": (ours, "tensorflow"), "pytorch": (pytorch, "torch"), "pyro": (pyro, "pyro")}


def milliseconds(function, repeats):
    """The median time of a call after a first one."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return 1e3 * statistics.median(times)


def by_length(units, lengths, repeats):
    """{name: {T: milliseconds of a training step}}, compiled by XLA, batch 20."""
    import zoo

    random, found = np.random.default_rng(0), {}
    for name in ("vrnn", "dmm"):
        model, found[name] = zoo.create(name, data_shape=(None, KEYS), **sizes(units)), {}
        model.compile("adam", jit_compile=True)
        for length in lengths:
            x = random.integers(0, 2, (BATCH, length, KEYS)).astype("float32")
            found[name][length] = milliseconds(lambda model=model, x=x: model.train_on_batch(x), repeats)
    return found


def by_particles(units, repeats):
    """{number of particles: milliseconds of the particle filter} along the JSB test set, as `zoo evaluate` has it."""
    import tensorflow as tf

    import zoo

    model, found = zoo.create("vrnn", data_shape=(None, KEYS), **sizes(units)), {}
    fields = [model.fields({"x": x, "length": length}) for x, length in batches("test")]
    for particles in (1, PARTICLES):

        @tf.function(reduce_retracing=True)
        def estimate(batch, particles=particles):
            return model.estimate(batch, particles, tf.constant([1, 2]), resample=True).trace.log_marginal

        found[particles] = milliseconds(lambda estimate=estimate: [estimate(batch) for batch in fields], repeats)
    return found


def aims(report):
    """What was aimed at, with what was found."""
    found = {}
    for name, cell in report["training"].items():
        for other in set(cell) - {"ours"}:
            ratio = cell["ours"]["median"] / cell[other]["median"]
            found[f"training {name}, ours over {other}"] = of_aim(ratio, AIM)
    for name, each in report["milliseconds_by_length"].items():
        (short, a), (long, b) = min(each.items()), max(each.items())
        value = (b / long) / (a / short)
        found[f"{name}: a step of {long} over one of {short}"] = of_aim(value, LINEAR)
    one, many = report["milliseconds_by_particles"].values()
    name = f"{PARTICLES} particles over one"
    return {**found, name: of_aim(many / one, FILTER_AIM)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--units", type=int, default=64)
    parser.add_argument("--lengths", type=int, nargs="+", default=[25, 50, 100, 200, 400])
    parser.add_argument("--repeats", type=int, default=7, help="rounds that are timed")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="cores each side may use")
    parser.add_argument("--json", help="write the results to this file")
    options = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    here = {name: make for name, (make, package) in SIDES.items() if importlib.util.find_spec(package)}
    for name in SIDES.keys() - here.keys():
        print(f"{name} is skipped: it is not installed")
    report = {"units": options.units, "versions": versions(), "training": {}}
    report["machine"] = {"system": platform.platform(), "cores": options.cores, "load_before": os.getloadavg()}
    data = batches()
    for name in ("vrnn", "dmm"):
        # Pyro's network has other parameters, so it runs beside ours alone.
        plain = {side: here[side] for side in ("ours", "pytorch") if side in here}
        report["training"][name] = race(plain, (name, options.units, data), options.repeats, options.cores)
        if name == "dmm" and "pyro" in here:
            cell = race({"pyro": pyro}, (name, options.units, data), options.repeats, options.cores)
            report["training"][name] |= cell
        for side, result in report["training"][name].items():
            print(f"{name:5} {side:8} {result['median']:6.2f} s a pass, {result['parameters']} parameters", flush=True)
    report["milliseconds_by_length"] = by_length(options.units, options.lengths, options.repeats)
    report["milliseconds_by_particles"] = by_particles(options.units, options.repeats)
    report["machine"]["load_after"] = os.getloadavg()
    report["aims"] = aims(report)
    conclude(report, options.json)


if __name__ == "__main__":
    main()
