"""Run the command line as ``python -m lexport``."""

from lexport.cli.main import main

main()
