"""A doctor that finds what was seeded, says the number it saw and the cure, and leaves healthy models alone."""

import json

import keras
import numpy as np
import pytest
from support import small

import zoo as package
from zoo import diagnose
from zoo.distributions.bernoulli import IndependentBernoulli
from zoo.models.vae import VAE
from zoo.pretrained import list_pretrained

SHAPE = (8, 8, 1)
ONE = np.log(np.expm1(1.0 - 1e-3))  # of a posterior's raw scale: about 1


@pytest.fixture(scope="module")
def digits():
    return package.load_dataset("digits", "test", batch_size=100)


def taught(name="vae", **config):
    """A model of the digits as if after a thousand updates, whose posterior says something."""
    model = small(name, **{"data_shape": SHAPE, "binarize": "dynamic", **config})
    model.steps.assign(1000)
    for layer in heads(model):
        layer.kernel.assign(layer.kernel * 2.0)
        layer.bias.assign(np.repeat([0.0, -2.0], layer.bias.shape[0] // 2))
    return model


def heads(model):
    """The layers that the posteriors' parameters come from."""
    if hasattr(model, "posterior_head"):
        head = getattr(model.posterior_head, "head", model.posterior_head)
        return [head.dense] if hasattr(head, "dense") else []
    return []


def silent(layer):
    """Have a posterior be the prior, whatever x is."""
    layer.kernel.assign(layer.kernel * 0)
    layer.bias.assign(np.repeat([0.0, ONE], layer.bias.shape[0] // 2))


def faults(*arguments, **settings):
    found = diagnose(*arguments, **settings)
    for finding in found:
        assert any(map(str.isdigit, finding.saw)) or "nan" in finding.saw, finding
        assert finding.cure
    return [finding.fault for finding in found]


def test_a_healthy_model_is_called_healthy(digits):
    assert faults(taught(), digits) == []


def test_posterior_collapse(digits):
    model = taught()
    silent(heads(model)[0])
    assert faults(model, digits) == ["posterior collapse"]


def test_a_level_that_is_not_used(digits, monkeypatch):
    model = small("hierarchical_vae", data_shape=SHAPE, binarize="dynamic")
    model.steps.assign(1000)
    from zoo.evaluation import diagnosis

    seen = diagnosis.measured(model, digits)
    monkeypatch.setattr(diagnosis, "measured", lambda *a: {**seen, "kl": {"z1": 20.0, "z2": 0.001}})
    assert faults(model, digits) == ["levels collapsed"]


def test_a_kl_that_is_nan(digits):
    model = taught()
    heads(model)[0].bias.assign(np.full(heads(model)[0].bias.shape, np.nan))
    assert "kl not finite" in faults(model, digits)
    assert faults(taught(), digits, history={"loss": [3.0, np.nan]}) == ["kl not finite"]


def test_a_kl_that_explodes(digits):
    model = taught()
    heads(model)[0].kernel.assign(heads(model)[0].kernel * 1e3)
    assert "kl explodes" in faults(model, digits)


def test_a_warm_up_that_never_ended(digits):
    model = taught()
    model.beta.assign(0.3)
    (finding,) = diagnose(model, digits)
    assert finding.fault == "warm up unfinished" and "0.3" in finding.saw and "epochs" in finding.cure


def test_overfitting(digits):
    history = {"elbo": np.linspace(-60, -20, 20), "val_elbo": [*np.linspace(-60, -30, 10), *np.linspace(-30, -45, 10)]}
    assert faults(taught(), digits, history=history) == ["overfitting"]


def test_a_likelihood_that_does_not_fit_the_range(digits):
    assert faults(taught(binarize=None), digits) == ["likelihood does not fit"]
    x = np.random.RandomState(0).normal(0, 0.05, (100, *SHAPE)).astype("float32")
    model = taught(binarize=None, likelihood="normal")
    assert "likelihood does not fit" in faults(model, x)
    assert "likelihood does not fit" not in faults(taught(binarize=None, likelihood="normal"), x * 20)


def test_dead_codes(digits):
    model = small("autoencoder", data_shape=SHAPE, latent_dim=4)
    model.steps.assign(1000)
    assert "dead codes" not in faults(model, digits)
    dense = model.posterior_head.dense
    dense.kernel.assign(dense.kernel * [1.0, 0.0, 0.0, 0.0])
    assert "dead codes" in faults(model, digits)


def test_a_saturated_decoder(digits):
    model = taught()
    model.decoder.output_layer.bias.assign(np.full(64, 30.0))
    assert "decoder saturated" in faults(model, digits)


def test_a_learning_rate_that_is_too_large(digits):
    history = {"elbo": [-60.0, -40.0, -35.0, -90.0, -120.0]}
    (finding,) = diagnose(taught(), digits, history=history)
    assert finding.fault == "learning rate" and "-35.0" in finding.saw
    assert faults(taught(), digits, history={"loss": [5.0, 4.0], "skipped": [0.0, 30.0]}) == ["learning rate"]


def test_too_few_updates(digits):
    model = taught()
    model.steps.assign(36)
    (finding,) = diagnose(model, digits)
    assert finding == ("too few updates", "36 updates in all", "more epochs, or a smaller batch_size")


class MeanOfPixels(IndependentBernoulli):
    """A mistake that many make: the mean over the pixels in place of the sum."""

    def _log_prob(self, event):
        return super()._log_prob(event) / self.event_shape.num_elements()


@keras.saving.register_keras_serializable("tests")
class MeanVAE(VAE):
    """The same mistake in an objective of one's own."""

    def objective(self, trace):
        return super().objective(trace) / 64.0


def test_a_mean_in_place_of_a_sum(digits):
    model = MeanVAE(data_shape=SHAPE, latent_dim=3, encoder={"name": "mlp", "hidden_units": [8]}, binarize="dynamic")
    model.build()
    model.steps.assign(1000)
    assert "mean in place of a sum" in faults(model, digits)
    model = taught()
    assert "mean in place of a sum" not in faults(model, digits)
    model.likelihood_head.independent = MeanOfPixels
    assert "mean in place of a sum" in faults(model, digits)


def test_the_history_of_the_last_fit_is_taken():
    model = small("vae", data_shape=SHAPE, binarize="dynamic")
    x = package.load_dataset("digits", batch_size=100)
    model.compile("adam")
    model.fit(x, epochs=1, verbose=0)
    assert faults(model) == ["too few updates"]


def test_the_command_says_what_it_saw_and_the_cure(zoo, run_folder):
    code, out, _ = zoo("doctor", run_folder)
    assert code == 0
    assert "too few updates: 20 updates in all\n    cure: more epochs, or a smaller batch_size" in out
    found = json.loads(zoo("doctor", run_folder, "--json")[1])
    assert {"fault", "saw", "cure"} == set(found[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", list_pretrained())
def test_a_published_model_is_called_healthy(zoo, name):
    code, out, _ = zoo("doctor", name)
    assert code == 0 and f"{name} is healthy" in out
