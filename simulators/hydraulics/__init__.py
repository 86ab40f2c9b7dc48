"""Water networks by real hydraulics, solved ahead: ``tables`` reads what ``solve`` wrote."""
