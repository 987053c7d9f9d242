"""What goes out to Microsoft Teams, over real HTTP to a connector of our own."""
