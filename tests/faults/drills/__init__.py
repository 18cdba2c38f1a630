"""The drills: what each breaks, at moments drawn from its seed. Importing this package registers all of them."""

from tests.faults.drills import chaos, frozen, limits, network, processes, servers, spools
from tests.faults.drills.registry import DRILLS, Drill

__all__ = ["DRILLS", "Drill", "chaos", "frozen", "limits", "network", "processes", "servers", "spools"]
