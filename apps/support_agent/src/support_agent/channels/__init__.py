"""Where customers and supervisors are reached: the port, and one package or module a channel."""
