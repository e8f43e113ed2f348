"""A fake AWS, strict where AWS is strict: a real HTTP server over a fleet that is computed from a seed."""

from lexport.simulator.faults import Fault
from lexport.simulator.fleet import Fleet, FleetSpec
from lexport.simulator.fleet_changes import Change
from lexport.simulator.quotas import Neighbour
from lexport.simulator.server import Simulator, open_simulator

__all__ = ["Change", "Fault", "Fleet", "FleetSpec", "Neighbour", "Simulator", "open_simulator"]
