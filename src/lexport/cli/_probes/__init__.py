"""What ``lexport doctor`` and ``lexport init`` try, each probe with a time-out of its own."""
