"""The built-in stores, a package each; `rotator` finds them by entry point."""
