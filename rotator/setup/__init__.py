"""`rotator init`: asks, tests each answer, and writes the settings and what runs the rotator."""
