"""``python -m lexport`` is the command line."""

from lexport.cli.main import main

main()
