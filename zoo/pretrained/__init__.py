"""Pretrained models: a folder with `card.json` and weights. Imports TensorFlow only when a model is made."""

from zoo.pretrained.remote import cache_folder, clear_cache, is_elsewhere, kept_folder, list_cache
from zoo.pretrained.store import (
    fetch,
    folder,
    list_pretrained,
    list_recipes,
    load,
    locate,
    preset,
    read_card,
    save,
    versions,
)

__all__ = [
    "cache_folder",
    "clear_cache",
    "fetch",
    "folder",
    "is_elsewhere",
    "kept_folder",
    "list_cache",
    "list_pretrained",
    "list_recipes",
    "load",
    "locate",
    "preset",
    "read_card",
    "save",
    "versions",
]
