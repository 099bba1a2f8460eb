"""VAEs with richer posteriors: the VAE with another part, by name.

    z0 ~ N(loc(x), diag(scale(x)^2)),   q(z | x): z0 through the layers of a flow

`zoo.networks.flows` has the layers, their arguments and their papers. An argument is given as
`create("planar_vae", posterior={"name": "planar", "num_layers": 40, "amortized": False})`.
"""

from zoo.models.vae import VAE
from zoo.registry import register

for name in ("planar", "radial", "sylvester", "householder", "iaf", "coupling", "spline", "full_covariance"):
    register(f"{name}_vae", posterior=name)(VAE)
