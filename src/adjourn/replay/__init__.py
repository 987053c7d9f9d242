"""History in, commands out. Pure: no clock, no store, no thread, no dice."""
