"""`rotator daemon`: a schedule of rotations, a watch on its own health, and the status page."""
