"""The store that is a program: its address, the protocol, what a program lacks."""
