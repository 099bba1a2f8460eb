"""VAEs whose units are pressed to mean one thing each: the VAE with a penalty, by name.

    beta_tc_vae:  total correlation of the code, of a batch's posteriors       penalty tc
    factor_vae:   the same, by a discriminator                                 penalty factor_tc
    dip_vae:      covariance of the code                                       penalty dip_2
    info_vae:     distance of the code of all data from the prior              penalty mmd, beta = 1 - alpha
    annealed_vae: a KL that grows with training to a capacity                  penalty capacity, beta = 0

No method finds the factors of data for certain without labels: Locatello et al. 2019, arXiv:1811.12359.
"""

from zoo.models.vae import VAE
from zoo.registry import register


def penalised(name, weight, **arguments):
    return ({"name": name, "weight": weight, **arguments},)


register("beta_tc_vae", "its total correlation weighs more", "Chen et al. 2018", penalties=penalised("tc", 5.0))(VAE)
register(
    "factor_vae", "an adversary on the total correlation", "Kim & Mnih 2018", penalties=penalised("factor_tc", 10.0)
)(VAE)
register("dip_vae", "the covariance of its code drawn to I", "Kumar et al. 2018", penalties=penalised("dip_2", 10.0))(
    VAE
)
register(
    "info_vae",
    "its code of all data matches the prior",
    "Zhao et al. 2019",
    beta=0.0,
    penalties=penalised("mmd", 1000.0),
)(VAE)
register(
    "annealed_vae",
    "its KL is held at a capacity",
    "Burgess et al. 2018",
    beta=0.0,
    penalties=penalised("capacity", 100.0),
)(VAE)
