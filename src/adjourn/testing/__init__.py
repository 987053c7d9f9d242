"""For tests of workflows and of stores: a sandbox with a virtual clock, crash points, contracts."""

from adjourn.testing.clock import VirtualClock
from adjourn.testing.crash import CRASH_POINTS, CrashPoint, KillAt, open_with_crash_point
from adjourn.testing.sandbox import Sandbox, SandboxHandle
from adjourn.testing.store_contract import StoreContract

__all__ = [
    "CRASH_POINTS",
    "CrashPoint",
    "KillAt",
    "Sandbox",
    "SandboxHandle",
    "StoreContract",
    "VirtualClock",
    "open_with_crash_point",
]
