"""Where the project lives, written here alone: setup.py, the install cells and the mirror of weights follow from it."""

HOME = "https://github.com/vae-zoo/vae-zoo"
RELEASED = False  # whether the package index has the project's `vae-zoo`; until then it is installed from HOME alone


def mirror(version):
    """The address of the folder that holds the pretrained models of a version, a folder each."""
    return f"{HOME.replace('github.com', 'raw.githubusercontent.com')}/v{version}/saved_models/"
