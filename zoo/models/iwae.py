"""The importance-weighted autoencoder: the VAE trained by the bound of several draws, 5 unless said.

maximised: E log 1/S sum_s p(x, z_s) / q(z_s | x), z_s from q; S = 1 is the VAE. Burda, Grosse & Salakhutdinov 2016,
arXiv:1509.00519. `bound="dreg"` has the same bound and the gradient of Tucker et al. 2019, arXiv:1810.04152.
"""

from zoo.models.vae import VAE
from zoo.registry import register

register("iwae", "trained by the importance-weighted bound", "Burda et al. 2016", bound="iwae", num_samples=5)(VAE)
