"""From declarations to code: one printer, and the ground functions of each backend."""
