"""Incidents: alarms of one cause, grouped and handled as one. Pure; the ledger folds with it."""
