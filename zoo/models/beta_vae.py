"""The beta-VAE: the VAE with its KL weighted by beta, 4 unless said. Higgins et al. 2017.

maximised: E_q log p(x | z) - beta KL(q(z | x) || p(z)); beta = 1 is the VAE.
"""

from zoo.models.vae import VAE
from zoo.registry import register

register("beta_vae", "its KL weighted by beta", "Higgins et al. 2017", beta=4.0)(VAE)
