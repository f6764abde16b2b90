"""The built-in stores, one file each; `rotator` finds them by entry point."""
