"""What every model stands on: domains, fields, solvers, output; no physics."""
