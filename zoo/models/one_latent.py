"""What all models with one latent z share, be it a vector or a map."""

import tensorflow as tf

from zoo.data.spec import FieldSpec
from zoo.errors import InvalidInput
from zoo.models.encoder_decoder import EncoderDecoder
from zoo.models.inputs import checked
from zoo.objectives.trace import Pass, Trace
from zoo.probability import tfp
from zoo.replicas import seed_for

tfd = tfp.distributions


class OneLatent(EncoderDecoder):
    """A model with one latent z.

    A member says `latent_shape` and makes `encoder`, `decoder`, `likelihood_head`, `posterior_head`, from features to
    q(z | x), and `prior_head`, a `zoo.priors.Prior`.
    """

    capabilities = EncoderDecoder.capabilities | {"path"}

    @property
    def latent_spec(self):
        return {"z": FieldSpec(self.latent_shape, "float32", role="latent")}

    @property
    def inference_layers(self):
        return [self.encoder, self.posterior_head]

    # p and q

    def prior(self):
        """p(z), over [*latent_shape]."""
        return self.prior_head.distribution()

    @checked
    def posterior(self, x):
        """q(z | x) of x [B, *data_shape]: batch [B], event [*latent_shape]."""
        return self.posterior_head(self.encoder(x))

    # The contract

    def run(self, inputs, num_samples=None, training=None, seed=None, needs=()):
        posterior = self.posteriors(inputs)["z"]
        if "path" in needs:
            return self.path_pass(inputs, posterior, num_samples, seed)
        own = seed_for(posterior, seed)
        z, log_posterior = posterior.experimental_sample_and_log_prob(num_samples, seed=own)
        return self.passed(inputs, posterior, z, log_posterior, seed)

    def passed(self, inputs, posterior, z, log_posterior, seed):
        """The `Pass` of draws z [S, B, *latent_shape] with their log q(z | x) [S, B]."""
        latents, prior = {"z": z[:, None]}, self.prior()
        likelihood = self.likelihoods(latents, self.condition_of(inputs))
        trace = Trace(
            latents=latents,
            log_likelihood=self.score(likelihood, inputs),
            log_prior={"z": prior.log_prob(latents["z"])},
            log_posterior={"z": log_posterior[:, None]},
            log_mass=tf.zeros_like(log_posterior[0])[None, None],
            kl_per_unit=closed_form_kl(posterior, prior),
        )
        return Pass(inputs, trace, seed, {"z": posterior}, {"z": prior}, likelihood)

    def path_pass(self, inputs, posterior, draws, seed):
        """As `passed`, of base draws whose values alone the log terms know, with `base` and `path`."""
        flow = hasattr(posterior, "push")  # a flow: a base and the way forward from it
        origin = posterior.distribution if flow else posterior
        base = origin.sample(draws, seed=seed_for(origin, seed))
        fixed = tf.stop_gradient(base)
        with tf.GradientTape() as tape:
            tape.watch(fixed)
            z, log_det = posterior.push(fixed) if flow else (fixed, 0.0)
            log_base = origin.log_prob(fixed)
            p = self.passed(inputs, posterior, z, log_base - log_det, seed)
            tempered = p.trace.temper(self.beta).log_weight
        path = tf.stop_gradient(tape.gradient(tempered, fixed))
        held = {"z": (tf.stop_gradient(log_base) - log_det)[:, None]}
        trace = p.trace._replace(log_posterior=held, base={"z": base[:, None]}, path={"z": path[:, None]})
        return p._replace(trace=trace)

    def log_joint(self, latents, inputs):
        likelihoods = self.likelihoods(latents, self.condition_of(inputs))
        return self.score(likelihoods, inputs), {"z": self.prior().log_prob(latents["z"])}

    def posteriors(self, inputs):
        return {"z": self.posterior(self.image(inputs), **self.condition_of(inputs))}

    def likelihoods(self, latents, condition):
        return {self.fields_of("data")[0]: self.likelihood(latents["z"], **condition)}

    def draw(self, seeds, condition, temperature=1.0):
        return {"z": self.drawn_code(seeds, temperature)}

    def drawn_code(self, seeds, temperature):
        """[N, *latent_shape]: draws from the prior of z, its scales multiplied by a temperature."""
        prior = self.code_prior
        return prior.draw(seeds) if temperature == 1 else prior.tempered(seeds, temperature)

    # Beginning from another model

    @property
    def parts(self):
        return {**super().parts, "prior": self.prior_head}

    def take(self, model):
        """Take over all layers of a model but its prior, so that another prior can be fitted to its codes."""
        if not isinstance(model, OneLatent):
            super().take(model)
        ours, theirs = (
            [layer for layer in m.layers if layer.weights and layer not in (m.prior_head, *m.penalties)]
            for m in (self, model)
        )
        copy_layers(ours, theirs, model.registry_name)
        self.taken = True

    # Geometry: the prior's

    @property
    def code_prior(self):
        """The part that is the prior of z."""
        return self.prior_head

    def between(self, start, stop, place):
        return {**super().between(start, stop, place), "z": self.code_prior.between(start["z"], stop["z"], place)}

    def plane(self, probabilities):
        """z [N, D] at quantiles of the prior, of probabilities [N, D]."""
        return self.code_prior.quantiles(probabilities)


def copy_layers(ours, theirs, name):
    """Give layers the weights of those of another model, one by one."""
    for mine, other in zip(ours, theirs, strict=False):
        if [w.shape for w in mine.weights] != [w.shape for w in other.weights]:
            raise InvalidInput(f"the weights of the {name}'s {other.name} do not fit: they have other sizes")
    if len(ours) != len(theirs):
        raise InvalidInput(f"the weights of the {name} do not fit: it has other layers")
    for mine, other in zip(ours, theirs, strict=True):
        mine.set_weights(other.get_weights())


def closed_form_kl(posterior, prior):
    """{"z": [B, D]} where both are independent normal units, else {}; a map's unit is a channel, summed over places."""
    pair = (posterior, prior)
    if not all(isinstance(d, tfd.Independent) and isinstance(d.distribution, tfd.Normal) for d in pair):
        return {}
    kl = tfd.kl_divergence(posterior.distribution, prior.distribution)
    return {"z": kl if kl.shape.rank == 2 else tf.reduce_sum(kl, range(1, kl.shape.rank - 1))}
