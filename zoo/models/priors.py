"""VAEs with richer priors: the VAE with another part, by name.

p(z): N(0, I) through coupling layers (flow_prior_vae), or a trained mixture of Gaussians (mixture_prior_vae)
"""

from zoo.models.vae import VAE
from zoo.registry import register

register("flow_prior_vae", "a coupling flow as the prior", "Dinh et al. 2017", prior="flow")(VAE)
register("mixture_prior_vae", "a trained mixture of Gaussians as the prior", prior="mixture")(VAE)
