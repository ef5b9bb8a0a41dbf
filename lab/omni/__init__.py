"""A stand-in Omni: the real state protocol over gRPC, the provider's rights, and what an admin can do."""

from lab.omni.server import StandInOmni

__all__ = ["StandInOmni"]
