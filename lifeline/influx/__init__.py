"""What InfluxDB must hold for the store: made, examined and brought up to date."""
