"""What a site says in its configuration: each table read, checked, and named when it is wrong."""
