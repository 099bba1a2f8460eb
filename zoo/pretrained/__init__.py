"""Pretrained models: a folder with `card.json` and weights. Imports TensorFlow only when a model is made."""

from zoo.pretrained.store import list_pretrained, load, locate, read_card, save, versions

__all__ = ["list_pretrained", "load", "locate", "read_card", "save", "versions"]
