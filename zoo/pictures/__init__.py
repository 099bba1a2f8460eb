"""Pictures of a model or a run."""
