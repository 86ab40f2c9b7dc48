"""``lifeline bench page``: how fast the page is with a whole city, many alarms and many pages."""
