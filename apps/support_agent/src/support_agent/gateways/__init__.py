"""How money goes back: one port, two gateways. Start reading at `port.py`."""
