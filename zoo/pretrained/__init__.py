"""Pretrained models: a folder with `card.json` and weights. Imports TensorFlow only when a model is made."""

from zoo.pretrained.store import folder, list_pretrained, list_recipes, load, locate, preset, read_card, save, versions

__all__ = ["folder", "list_pretrained", "list_recipes", "load", "locate", "preset", "read_card", "save", "versions"]
