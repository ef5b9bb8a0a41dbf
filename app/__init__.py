"""What decides and answers: the provider but for the tasks that act."""

__version__ = "0.1.0"
