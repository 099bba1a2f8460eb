import runpy
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = (HERE / "zoo" / "__init__.py").read_text().split('__version__ = "')[1].split('"')[0]
HOME = runpy.run_path(str(HERE / "zoo" / "address.py"))["HOME"]
WITH_WEIGHTS = ("vae_mnist", "vae_mnist_2d", "vrnn_jsb")  # small ones, `zoo demo`'s among them; others are fetched
CARDS = [f"*/{file}" for file in ("card.json", "log.csv", "kl_per_unit.csv")]

HUB = ["huggingface_hub>=1.0"]
TABLES = ["pandas>=2.2", "datasets>=3"]
BEAM = ["apache-beam>=2.70", "pyarrow>=14"]
TENSORBOARD, TUNER = ["tensorboard>=2.20"], ["keras-tuner>=1.4.7"]
TESTS = [
    "playwright",  # with the Chromium that is there: the site at the width of a phone
    *HUB,
    "pyyaml>=6",
    *TABLES,
    *TENSORBOARD,
    *TUNER,
    "build>=1.2",
    "twine>=6.1",
    "pytest>=8",
    "pytest-xdist>=3.5",
    "ruff>=0.6",
    "import-linter>=2.10",
    "nbclient>=0.10",
    "ipykernel>=6",
    "tensorflow-serving-api>=2.19",
]
DOCS = ["mkdocs>=1.6,<2", "mkdocs-material>=9.7,<10", "mkdocstrings[python]>=1.0", "latex2mathml>=3.81"]

setup(
    name="vae-zoo",
    version=VERSION,
    description="A Keras / TensorFlow Probability model zoo of variational autoencoders",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    url=HOME,
    project_urls={
        "Source": HOME,
        "Issues": f"{HOME}/issues",
        "Changelog": f"{HOME}/blob/main/CHANGELOG.md",
    },
    python_requires=">=3.11",
    packages=[*find_packages(include=["zoo", "zoo.*"]), "zoo.saved_models"],
    package_dir={"zoo.saved_models": "saved_models"},
    package_data={
        "zoo": ["index.json", "py.typed"],
        "zoo.saved_models": [*CARDS, *(f"{name}/model.weights.h5" for name in WITH_WEIGHTS)],
    },
    install_requires=[  # lower bounds: tested by tests/lowest.py; some are those of SECURITY.md
        "tensorflow>=2.20,<2.23",
        "keras>=3.13.2,!=3.14.0,<4",
        "tensorflow-probability==0.25.*",
        "tf-keras>=2.20.1,<2.23",
        "tensorflow-datasets>=4.9.10",
        "ai-edge-litert>=2.1",
        "importlib_resources>=5.12",
        "filelock>=3.24.2",
        "h5py>=3.11",
        "setuptools>=78.1.1",
        "numpy>=1.26,<3",
        "scipy>=1.11.2,<2",
        "scikit-learn>=1.3,<2",
        "matplotlib>=3.8,<4",
        "pillow>=12.3,<14",
        "typer>=0.20",
        "rich>=13",
        "mido>=1.3.2",
        "requests>=2.32.4",
        "platformdirs>=4.3.6",
        "wrapt>=1.15",
    ],
    extras_require={
        "test": [*TESTS, *DOCS],
        "docs": DOCS,
        "serving": ["tensorflow-serving-api>=2.19"],
        "benchmark": ["torch", "pythae", "normflows"],
        "beam": BEAM,
        "hub": HUB,
        "tensorboard": TENSORBOARD,
        "wandb": ["wandb>=0.19"],
        "mlflow": ["mlflow>=3"],
        "tuner": TUNER,
        "tables": TABLES,
    },
    entry_points={"console_scripts": ["zoo=zoo.cli:main"]},
    classifiers=[
        *(f"Programming Language :: Python :: 3{minor}" for minor in ("", ".11", ".12", ".13", ".14")),
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
    ],
)
